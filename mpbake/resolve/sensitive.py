"""Sensitive values in a plan: report values in places that others can read, and collect the texts to redact."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.redaction import MASK, Redactor, credentials_in, passwords_in, scalars_in
from mpbake.base.text import one_line
from mpbake.model.bake_fields import Paths, paths_of
from mpbake.resolve.template import TemplateProblem
from mpbake.spec.problem import Problem
from mpbake.spec.tables.attributes import Exposure
from mpbake.spec.tables.target_tables import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mpbake.base.errors import KeyPath
    from mpbake.resolve.template import Renderer
    from mpbake.spec.tables.plan_tables import VariableSpec

_VISIBLE_PATHS = "local paths are passed as arguments"
_USE_IN_ATTRIBUTES = "use it only in these attributes of a target: " + ", ".join(
    name for name, attribute in ATTRIBUTES.items() if attribute.sensitive
)
_USE_REMOTELY = "use it only in the URL of a context or in the fields of a remote cache"
_UNCHANGED_VALUE = re.compile(r"\{\{[ \t]*(\w+)[ \t]*(?:\|[ \t]*urlencode[ \t]*)?\}\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TextUse:
    """A text of the plan and its rendered value.

    `path` is the path of the text below its table. `key_of` maps a path below the table to a key in the plan;
    `key_of(())` is the key of the table.
    """

    text: str
    rendered: Any
    scope: Mapping[str, Any]
    key_of: Callable[[KeyPath], KeyPath]
    path: KeyPath


Place = tuple["KeyPath", str]
"""The key of a text that refers to a sensitive variable, and the text as written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SensitiveGuard:
    """Checks each text of a plan, and its rendered value, for sensitive values.

    `variables` are the sensitive variables. `secrets` collects all texts to redact, starting with the values of these
    variables. `places` collects the texts that refer to sensitive variables. A text can refer to a sensitive variable
    only if it contains one of the `words`: names of sensitive variables, and names of functions that depend on them.
    """

    variables: Mapping[str, VariableSpec] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    places: set[Place] = field(default_factory=set)
    words: frozenset[str] = frozenset()
    _names: dict[str, list[str]] = field(default_factory=dict)

    def needs_check(self, text: str, rendered: Any) -> bool:
        """Whether a text may contain a sensitive value: a fast test, since large plans have 100,000s of texts."""
        if self.words and "{" in text and any(word in text for word in self.words):
            return True
        return isinstance(rendered, str) and ("://" in rendered or "=" in rendered)

    def check(self, use: TextUse, renderer: Renderer) -> Iterator[Problem]:
        """Collect the texts to redact in `use`, and yield a problem if a sensitive value is not allowed there."""
        names = self.record_place(use.text, use.key_of(use.path), renderer)
        attribute = _attribute_or_table(use)
        if attribute in ATTRIBUTES and ATTRIBUTES[attribute].sensitive:
            yield from self._collect_secrets(use, ATTRIBUTES[attribute].paths, names, renderer)
        elif names and attribute != "variables":
            hint = self._secret_hint(names[0]) if _exposure(attribute) is Exposure.HISTORY else _USE_IN_ATTRIBUTES
            yield self._visible_secret(use, names[0], _reason(attribute), hint)
        elif attribute != "variables" and any(map(passwords_in, scalars_in(use.rendered))):
            yield _password_problem(use, attribute)

    def record_place(self, text: str, key: KeyPath, renderer: Renderer) -> list[str]:
        """Return the sensitive variables that `text` at `key` refers to.

        If `text` refers to such a variable, record the place.
        """
        names = self._sensitive_names(text, renderer)
        if names:
            self.places.add((key, text))
        return names

    def _sensitive_names(self, text: str, renderer: Renderer) -> list[str]:
        if self.variables and "{" in text and text not in self._names:
            referenced = renderer.names(text)
            self._names[text] = [name for name in self.variables if name in referenced]
        return self._names.get(text, [])

    def _collect_secrets(self, use: TextUse, paths: Paths, names: list[str], renderer: Renderer) -> Iterator[Problem]:
        """Collect the texts to redact in an attribute that allows sensitive values; report sensitive local paths.

        Docker gets paths as arguments, so a path must not contain a sensitive value. If a text contains the value
        unchanged, redacting the value is enough, and the whole text is not redacted. If a text is the same for every
        value of the variable, the text is not sensitive. The attribute is also rendered with `_SAMPLES`, so that a
        problem is reported even while the variable has no value.
        """
        set_names = [name for name in names if use.scope.get(name)]  # an empty value needs no redaction
        samples = _rendered_with_samples(use, names, renderer) if names and paths is not Paths.NONE else ()
        if len(set_names) < len(names) and _makes_paths(paths, samples):
            yield self._visible_secret(use, names[0], _VISIBLE_PATHS, _USE_REMOTELY)
            return
        independent_of_value = bool(samples) and all(sample == use.rendered for sample in samples)
        set_names = [] if independent_of_value else set_names
        redact_whole = (
            bool(set_names)
            and paths is not Paths.NONE
            and bool(self._sensitive_names(_without_unchanged_values(use.text), renderer))
        )
        for text in scalars_in(use.rendered):
            self.secrets.update(credentials_in(text))
            if set_names and _is_path(paths, text):
                yield self._visible_secret(use, set_names[0], _VISIBLE_PATHS, _USE_REMOTELY)
            elif redact_whole:
                self.secrets.add(text)

    def _visible_secret(self, use: TextUse, name: str, reason: str, hint: str) -> Problem:
        """Return the problem of a sensitive variable in a place where its value would be visible."""
        message = f'variable "{name}" is sensitive, but {reason}'
        return Problem(code=Code.SENSITIVE, key=use.key_of(use.path), message=message, hint=hint, culprit=name)

    def _secret_hint(self, name: str) -> str:
        return _secret_hint(name, one_line(self.variables[name].env) or "…")


def _attribute_or_table(use: TextUse) -> str:
    """Return the target attribute that contains the text or, outside targets, the first part of the table's key."""
    kind = str(use.key_of(())[0])
    return str(use.path[0]) if kind == "targets" and use.path else kind


def _exposure(place: str) -> Exposure:
    """Return the readers of a text at `place`: an attribute, or the kind of a table."""
    return ATTRIBUTES[place].exposure if place in ATTRIBUTES else Exposure.PRINTED


def _reason(place: str) -> str:
    """Return the reason why a sensitive value is not allowed at `place`."""
    exposure = _exposure(place)
    subject = "this text" if exposure is Exposure.PRINTED else f'"{place}"'
    return f"{subject} {exposure.value}"


def _without_unchanged_values(text: str) -> str:
    """Return a template without the expressions that insert a value unchanged (or URL-encoded)."""
    return _UNCHANGED_VALUE.sub("", text)


def _secret_hint(name: str, variable: str) -> str:
    secret = f'secret = ["id={name},env={variable}"]'
    return f"pass it to the build as a secret: {secret} and RUN --mount=type=secret,id={name}"


def _password_problem(use: TextUse, attribute: str) -> Problem:
    message = f"contains a URL with a password, but {_reason(attribute)}"
    hint = _secret_hint("NAME", "NAME") if _exposure(attribute) is Exposure.HISTORY else "remove the password"
    return Problem(code=Code.SENSITIVE, key=use.key_of(use.path), message=message, hint=hint)


_SAMPLES = ("stand-in", "git@stand-in.example:team/stand-in.git")
"""Sample values of a sensitive variable: a word, and a whole address."""


def _rendered_with_samples(use: TextUse, names: Iterable[str], renderer: Renderer) -> tuple[Any, ...]:
    """Render the text with each of `_SAMPLES` as the value of the variables `names`. Return nothing after a failure."""
    if not all(isinstance(use.scope.get(name), str) for name in names):
        return ()
    try:
        return tuple(renderer.render(use.text, {**use.scope, **dict.fromkeys(names, sample)}) for sample in _SAMPLES)
    except TemplateProblem:
        return ()


def _makes_paths(paths: Paths, samples: Iterable[Any]) -> bool:
    """Whether every rendered sample contains local paths, and the paths differ between samples."""
    local = [[text for text in scalars_in(sample) if _is_path(paths, text)] for sample in samples]
    return bool(local) and all(local) and any(texts != local[0] for texts in local)


def _is_path(paths: Paths, text: str) -> bool:
    """Whether `text`, the value of an attribute or a part of it, contains a path on this machine."""
    try:
        return bool(paths_of(paths, text))
    except ValueError:  # validation reports the error
        return False


def without_follow_ups(problems: Iterable[Problem]) -> list[Problem]:
    """Return `problems` without follow-ups.

    If a sensitive value is not allowed at a key, all other problems at the same key are follow-ups.
    """
    problems = [problem for problem in problems if not problem.is_follow_up]
    sensitive_keys = {problem.key for problem in problems if problem.code is Code.SENSITIVE}
    return [problem for problem in problems if problem.code is Code.SENSITIVE or problem.key not in sensitive_keys]


def redacted_problem(problem: Problem, redactor: Redactor, places: Iterable[Place] = ()) -> Problem:
    """Return `problem` with its secrets redacted.

    The redactor cannot find a part of a secret. So if a place in `places` has the key of the problem, the message
    quotes only text that the plan itself contains at this key, and a hint with a quotation is dropped.
    """
    culprit = "" if redactor.finds(problem.culprit) else problem.culprit
    message, hint = redactor.redact(problem.message), redactor.redact(problem.hint)
    if problem.code is not Code.SENSITIVE:
        texts = [text for key, text in places if _overlaps(key, problem.key)]
        message = _QUOTED.sub(lambda quote: _masked_unless_written(quote, texts), message) if texts else message
        hint = "" if texts and message != problem.message and _QUOTED.search(hint) else hint
    return replace(problem, message=message, hint=hint, culprit=culprit)


_QUOTED = re.compile(r"""(["'])(.+)\1""", re.DOTALL)
"""From the first quotation mark to the last: the quoted text may contain quotation marks."""


def _overlaps(place: KeyPath, key: KeyPath) -> bool:
    """Whether a problem at `key` may be about `place`: the same value, a part of it, or a list that contains it."""
    shorter = min(len(place), len(key))
    return place[:shorter] == key[:shorter] and (len(key) >= len(place) or len(key) > _TABLE_KEY_LENGTH)


_TABLE_KEY_LENGTH = 2
"""The length of a table's key: `targets.web`."""


def _masked_unless_written(quote: re.Match[str], texts: Iterable[str]) -> str:
    return quote[0] if any(quote[2] in text for text in texts) else f"{quote[1]}{MASK}{quote[1]}"
