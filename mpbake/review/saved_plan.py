"""A saved plan: a plan document, the request that made it, and the state of its inputs. Reading and writing. Pure.

A saved plan may come from anybody. A saved plan alone decides nothing: a run resolves the plan files again with the
values of the request, and compares the result.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from mpbake.base.json_text import parse_json
from mpbake.review.document.plan_document import plan_id
from mpbake.review.document.saved_document import parse_document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mpbake.review.document.plan_document import Document

LARGEST_SAVED_PLAN = 32 * 1024 * 1024
"""The maximum size in bytes of a saved plan."""
_MOST_VALUES = 10_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PUBLISH = ("", "each", "together")


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """The request of a command line of `mpbake plan`, without sensitive values.

    `files` are the plan files, relative to the folder of the saved plan. `variables` are the texts of `--var` and of
    `--var-file` by variable, `environment` the environment variables that the plan read. With `probe`, the plan was
    placed by what the nodes reported.
    """

    files: tuple[str, ...]
    names: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    builder: str = ""
    publish: str = ""
    push: bool | None = None
    load: bool = False
    no_cache: bool = False
    pull: bool = False
    probe: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class InputStates:
    """The state of the inputs of a plan: the SHA-256 of each plan file, and git's state of each context, by path.

    The state of a context is the id of its git tree and a digest of its changes since the commit.
    """

    files: Mapping[str, str]
    contexts: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedPlan:
    """A saved plan. The document has no fields that depend on the machine."""

    document: Document
    request: Request
    inputs: InputStates


def saved_fields(request: Request, inputs: InputStates) -> dict[str, Any]:
    """Return the fields that make a plan document a saved plan."""
    contexts = [
        {"path": path, "tree": tree, "changes": changes} for path, (tree, changes) in sorted(inputs.contexts.items())
    ]
    files = [{"path": path, "sha256": digest} for path, digest in inputs.files.items()]
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(request).items()}
    return {"request": values, "inputs": {"files": files, "contexts": contexts}}


def is_plan_document(content: bytes) -> bool:
    """Return whether a file seems to be a plan that some version of mpbake wrote as JSON."""
    try:
        document = parse_json(content)
    except ValueError:
        return False
    return isinstance(document, dict) and {"format", "id", "builders", "targets", "steps"} <= document.keys()


def parse_saved_plan(content: bytes) -> SavedPlan:
    """Parse a saved plan. Raises ValueError with the end of a sentence for users, whose subject is the file.

    The id must belong to the document, so a saved plan that somebody has edited is refused.
    """
    if len(content) > LARGEST_SAVED_PLAN:
        raise ValueError(f"is larger than {LARGEST_SAVED_PLAN // 1024**2} MB")
    try:
        document = parse_document(content.decode())
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    except ValueError as error:
        raise ValueError(str(error).partition("\n")[0]) from None
    if not {"id", "request", "inputs"} <= document.keys():
        raise ValueError("is not a saved plan: `--format json` printed it, without the command line")
    request, inputs = parse_request(document["request"]), _parse_inputs(document["inputs"])
    if plan_id(document) != document["id"]:
        raise ValueError("was changed after mpbake saved it: its id belongs to another plan")
    return SavedPlan(document=document, request=request, inputs=inputs)


def parse_request(value: Any) -> Request:
    """Return the request of a saved plan. Raises ValueError with the end of a sentence, whose subject is the file."""
    names = {declared.name for declared in fields(Request)}
    if not isinstance(value, dict) or value.keys() != names:
        raise ValueError("is not a saved plan: its request does not have the fields of a saved plan")
    return Request(**{name: _PARSERS[name](name, value[name]) for name in names})


def _parse_inputs(value: Any) -> InputStates:
    if not isinstance(value, dict) or value.keys() != {"files", "contexts"}:
        raise ValueError("is not a saved plan: its inputs do not have the fields of a saved plan")
    files = [_texts_by_name(entry, ("path", "sha256")) for entry in _entries(value["files"])]
    contexts = [_texts_by_name(entry, ("path", "tree", "changes")) for entry in _entries(value["contexts"])]
    return InputStates(
        files={file["path"]: file["sha256"] for file in files},
        contexts={context["path"]: (context["tree"], context["changes"]) for context in contexts},
    )


def _entries(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > _MOST_VALUES:
        raise ValueError("is not a saved plan: its inputs are not lists of a saved plan")
    return value


def _texts_by_name(value: Any, names: tuple[str, ...]) -> dict[str, str]:
    if (
        not isinstance(value, dict)
        or value.keys() != {*names}
        or not all(isinstance(value[name], str) for name in names)
    ):
        raise ValueError("is not a saved plan: its inputs do not have the fields of a saved plan")
    return value


def _word(name: str, value: Any) -> str:
    """Return a text that the command line takes as a name. Raises ValueError for an option or a control character."""
    if not isinstance(value, str) or value.startswith("-") or _CONTROL.search(value):
        raise ValueError(f"is not a saved plan: the field {name} of its request has an impossible value")
    return value


def _words(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MOST_VALUES:
        raise ValueError(f"is not a saved plan: the field {name} of its request is not a list, or is too long")
    return tuple(_word(name, entry) for entry in value)


def _settings(name: str, value: Any) -> tuple[str, ...]:
    """Return the values of `--set`, in which line breaks are possible."""
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise ValueError(f"is not a saved plan: the field {name} of its request is not a list of texts")
    return tuple(value)


def _files(name: str, value: Any) -> tuple[str, ...]:
    paths = _words(name, value)
    if not paths or "" in paths:
        raise ValueError("names no plan file")
    return paths


def _texts(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError(f"is not a saved plan: the field {name} of its request is not a table of texts")
    for variable in value:
        if "=" in _word(name, variable) or not variable:
            raise ValueError(f"is not a saved plan: the field {name} of its request has an impossible name")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"is not a saved plan: the field {name} of its request is not true or false")  # noqa: TRY004 - content of a file
    return value


def _switch(name: str, value: Any) -> bool | None:
    return None if value is None else _flag(name, value)


def _publish(name: str, value: Any) -> str:
    if _word(name, value) not in _PUBLISH:
        raise ValueError(f"is not a saved plan: the field {name} of its request has an impossible value")
    return str(value)


_PARSERS: Mapping[str, Callable[[str, Any], Any]] = {
    "files": _files,
    "names": _words,
    "variables": _texts,
    "environment": _texts,
    "settings": _settings,
    "platforms": _words,
    "builder": _word,
    "publish": _publish,
    "push": _switch,
    "load": _flag,
    "no_cache": _flag,
    "pull": _flag,
    "probe": _flag,
}
"""The parser of each field of a request."""
