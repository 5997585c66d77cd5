"""Save a plan with `mpbake plan -o`, so that `mpbake run` can execute exactly this plan later."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import UsageError, system_error
from mpbake.base.files import Kind, kind_of, read_bounded, write_whole
from mpbake.base.text import one_line
from mpbake.base.toml_text import toml_value
from mpbake.cli.options import SAVED_SUFFIX, STANDARD_OUTPUT
from mpbake.cli.review.input_states import input_states
from mpbake.resolve import sensitive_variables
from mpbake.review.saved_plan import Request, is_plan_document, saved_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.cli.loading import ReadPlan
    from mpbake.cli.options import PlanOptions
    from mpbake.cli.world import World

_EPOCH = "SOURCE_DATE_EPOCH"
_NO_SENSITIVE = "declare it as a variable with `sensitive = true`: a saved plan names the variable, and holds no value"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanSaver:
    """Saves one plan. `path` is the file that `-o` names; None stands for standard output."""

    read: ReadPlan
    options: PlanOptions
    world: World
    path: Path | None

    def with_saved_fields(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return a plan document with the fields of a saved plan.

        Raises UsageError for a request with sensitive values, and MpbakeError if git fails.
        """
        folder = self.path.parent if self.path else self.world.folder
        request = _request(self.read, self.options, Path(os.path.realpath(folder)))
        _check_secrecy(request, self.world)
        states = input_states(self.read.files, document, self.world.environment, self.path)
        return document | saved_fields(request, states)

    def write(self, text: str) -> None:
        """Write the saved plan atomically. Raises MpbakeError."""
        assert self.path is not None  # noqa: S101 - the caller prints otherwise
        try:
            write_whole(self.path, text)
        except OSError as error:
            raise system_error(error, f"-o {self.path}") from error


def open_saver(read: ReadPlan, options: PlanOptions, world: World) -> PlanSaver:
    """Return the saver of a plan. Raises UsageError for a file that must not be written.

    A saved plan never overwrites anything but a saved plan, and is never written through a symlink.
    """
    name = options.output
    if name == STANDARD_OUTPUT:
        return PlanSaver(read=read, options=options, world=world, path=None)
    path = world.folder / options.source.directory / name
    if path.suffix != SAVED_SUFFIX:
        raise UsageError(
            f"-o {one_line(name)}: a saved plan needs a name that ends with {SAVED_SUFFIX}", hint="try: -o plan.json"
        )
    if not path.parent.is_dir():
        raise UsageError(f"-o {one_line(name)}: its folder does not exist", hint="name a file in a folder that exists")
    if path.is_symlink():
        raise UsageError(f"-o {one_line(name)} is a symlink", hint="remove the symlink, or choose another name")
    kind = kind_of(path)
    is_plan_file = os.path.realpath(path) in {os.path.realpath(file.path) for file in read.files.sources}
    if is_plan_file or kind not in {Kind.NOTHING, Kind.FILE} or (kind is Kind.FILE and not _is_saved_plan(path)):
        raise UsageError(f"-o {one_line(name)} exists, and is not a saved plan", hint="choose another name")
    return PlanSaver(read=read, options=options, world=world, path=path)


def _is_saved_plan(path: Path) -> bool:
    try:
        return is_plan_document(read_bounded(path, pipe=False, link=False))
    except OSError:
        return False


def _request(read: ReadPlan, options: PlanOptions, folder: Path) -> Request:
    overrides = options.overrides
    sensitive = sensitive_variables(read.spec)
    given = {name: _text(value) for name, value in {**read.inputs.values, **read.inputs.variables}.items()}
    names = [variable.env for name, variable in read.spec.variables.items() if variable.env and name not in sensitive]
    environment: Mapping[str, str] = {} if options.source.untrusted else read.inputs.environment
    return Request(
        files=tuple(os.path.relpath(file, folder) for file in read.paths),
        names=options.names,
        variables={name: text for name, text in given.items() if name not in sensitive},
        environment={name: environment[name] for name in sorted({*names, _EPOCH}) if name in environment},
        settings=options.source.settings,
        platforms=overrides.platforms,
        builder=overrides.builder,
        publish=overrides.publish or "",
        push=overrides.push,
        load=overrides.load,
        no_cache=overrides.no_cache,
        pull=overrides.pull,
        probe=options.probe,
    )


def _text(value: Any) -> str:
    """Return a value of a `--var-file` as a text that `--var` takes for the same value."""
    return value if isinstance(value, str) else toml_value(value)


def _check_secrecy(request: Request, world: World) -> None:
    """Raise UsageError if a value of the request contains a sensitive value or a credential."""
    for option, text in _given(request):
        if world.redactor.redact(text) != text:
            raise UsageError(f"{option} contains a sensitive value, which a saved plan cannot hold", hint=_NO_SENSITIVE)


def _given(request: Request) -> Iterator[tuple[str, str]]:
    """Yield every text of a request, with the option that it comes from."""
    yield from (("the name of a target", name) for name in request.names)
    yield from (("the path of a plan file", path) for path in request.files)
    yield from ((f"the variable {one_line(name)}", text) for name, text in request.variables.items())
    yield from ((f"the environment variable {one_line(name)}", text) for name, text in request.environment.items())
    yield from ((f"--set number {number}", text) for number, text in enumerate(request.settings, 1))
    yield from (("--platform", platform) for platform in request.platforms)
    yield "--builder", request.builder
