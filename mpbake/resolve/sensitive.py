"""Where sensitive values go: refused where people would see them, noted where they are to be hidden."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.redaction import MASK, Redactor, credentials_in, passwords_in, scalars_in
from mpbake.base.text import one_line
from mpbake.model.bake_fields import Paths, paths_of
from mpbake.resolve.template import TemplateProblem
from mpbake.spec.attributes import Exposure
from mpbake.spec.problem import Problem
from mpbake.spec.target_tables import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mpbake.base.errors import KeyPath
    from mpbake.resolve.template import Renderer
    from mpbake.spec.plan_tables import VariableSpec

_PATHS_SEEN = "paths of this machine are put into argument lists"
_ALLOWED = "it may stand in these of a target: " + ", ".join(
    name for name, each in ATTRIBUTES.items() if each.sensitive
)
_REMOTE = "it may stand in the URL of a context, and in the fields of a remote cache"
_AS_IT_IS = re.compile(r"\{\{[ \t]*(\w+)[ \t]*(?:\|[ \t]*urlencode[ \t]*)?\}\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TextUse:
    """A text of the plan with what it became. `where` gives the place in the file of `path`, and of its table: `()`."""

    text: str
    rendered: Any
    scope: Mapping[str, Any]
    where: Callable[[KeyPath], KeyPath]
    path: KeyPath


Place = tuple["KeyPath", str]
"""Where a text stands that a sensitive value went into, and the text as it is written there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SensitiveGuard:
    """Looks at each text of a plan and at what it became.

    `variables` are the sensitive ones. `secrets` gathers what is to be hidden, beginning with their values; `places`,
    where they went.
    """

    variables: Mapping[str, VariableSpec] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    places: set[Place] = field(default_factory=set)
    _names: dict[str, list[str]] = field(default_factory=dict)

    def minds(self, text: str, rendered: Any) -> bool:
        """Whether a text is worth a look. Hardly one is, and a large plan has hundreds of thousands."""
        if self.variables and "{" in text and any(name in text for name in self.variables):
            return True
        return isinstance(rendered, str) and ("://" in rendered or "=" in rendered)

    def look(self, use: TextUse, renderer: Renderer) -> Iterator[Problem]:
        """Note what is to be hidden of `use`; what may not stand there is a problem."""
        names = self.note_place(use.text, use.where(use.path), renderer)
        place = _place(use)
        if place in ATTRIBUTES and ATTRIBUTES[place].sensitive:
            yield from self._note(use, ATTRIBUTES[place].paths, names, renderer)
        elif names and place != "variables":
            hint = self._remedy(names[0]) if _exposure(place) is Exposure.HISTORY else _ALLOWED
            yield self._problem(use, names[0], _reason(place), hint)
        elif place != "variables" and any(map(passwords_in, scalars_in(use.rendered))):
            yield _password_problem(use, place)

    def note_place(self, text: str, key: KeyPath, renderer: Renderer) -> list[str]:
        """The sensitive variables that `text` at `key` refers to; if there are any, the place is noted."""
        names = self._sensitive_names(text, renderer)
        if names:
            self.places.add((key, text))
        return names

    def _sensitive_names(self, text: str, renderer: Renderer) -> list[str]:
        if self.variables and "{" in text and text not in self._names:
            found = renderer.names(text)
            self._names[text] = [name for name in self.variables if name in found]
        return self._names.get(text, [])

    def _note(self, use: TextUse, paths: Paths, names: list[str], renderer: Renderer) -> Iterator[Problem]:
        """What is allowed is hidden; what cannot be, since docker gets paths as arguments, is not allowed.

        A text in which a value stands as it is need not be hidden as a whole, and what a value only chooses holds
        nothing of it. What is refused with a value is refused without one, as far as that can be told.
        """
        given = [name for name in names if use.scope.get(name)]  # an empty value hides nothing
        others = _with_stand_ins(use, names, renderer) if names and paths is not Paths.NONE else ()
        if len(given) < len(names) and _makes_paths(paths, others):
            yield self._problem(use, names[0], _PATHS_SEEN, _REMOTE)
            return
        only_chosen = bool(others) and all(each == use.rendered for each in others)
        given = [] if only_chosen else given
        as_a_whole = (
            bool(given) and paths is not Paths.NONE and bool(self._sensitive_names(_remade(use.text), renderer))
        )
        for text in scalars_in(use.rendered):
            self.secrets.update(credentials_in(text))
            if given and _is_path(paths, text):
                yield self._problem(use, given[0], _PATHS_SEEN, _REMOTE)
            elif as_a_whole:
                self.secrets.add(text)

    def _problem(self, use: TextUse, name: str, reason: str, hint: str) -> Problem:
        """The problem of a sensitive variable at a place that is no place for it."""
        message = f'variable "{name}" is sensitive, and {reason}'
        return Problem(code=Code.SENSITIVE, key=use.where(use.path), message=message, hint=hint, culprit=name)

    def _remedy(self, name: str) -> str:
        return _remedy(name, one_line(self.variables[name].env) or "…")


def _place(use: TextUse) -> str:
    """The attribute of a target to which a text belongs, or else the kind of its table."""
    kind = str(use.where(())[0])
    return str(use.path[0]) if kind == "targets" and use.path else kind


def _exposure(place: str) -> Exposure:
    """Who can read a text at `place`: an attribute, or the kind of a table."""
    return ATTRIBUTES[place].exposure if place in ATTRIBUTES else Exposure.PRINTED


def _reason(place: str) -> str:
    """Why no sensitive value is allowed at `place`."""
    exposure = _exposure(place)
    subject = "this text" if exposure is Exposure.PRINTED else f'"{place}"'
    return f"{subject} {exposure.value}"


def _remade(text: str) -> str:
    """The part of a template that may make something else of a value."""
    return _AS_IT_IS.sub("", text)


def _remedy(name: str, variable: str) -> str:
    secret = f'secret = ["id={name},env={variable}"]'
    return f"give it to the build as a secret: {secret} and RUN --mount=type=secret,id={name}"


def _password_problem(use: TextUse, place: str) -> Problem:
    message = f"holds a URL with a password, and {_reason(place)}"
    hint = _remedy("NAME", "NAME") if _exposure(place) is Exposure.HISTORY else "take the password away"
    return Problem(code=Code.SENSITIVE, key=use.where(use.path), message=message, hint=hint)


_STAND_INS = ("stand-in", "git@stand-in.example:team/stand-in.git")
"""Values that a sensitive variable might have: text, and a whole address."""


def _with_stand_ins(use: TextUse, names: Iterable[str], renderer: Renderer) -> tuple[Any, ...]:
    """What the text becomes with each of `_STAND_INS` for the variables `names`; nothing where that cannot be told."""
    if not all(isinstance(use.scope.get(name), str) for name in names):
        return ()
    try:
        return tuple(renderer.render(use.text, {**use.scope, **dict.fromkeys(names, each)}) for each in _STAND_INS)
    except TemplateProblem:
        return ()


def _makes_paths(paths: Paths, rendered: Iterable[Any]) -> bool:
    """Whether there are paths in each of `rendered`, and other ones."""
    found = [[text for text in scalars_in(each) if _is_path(paths, text)] for each in rendered]
    return bool(found) and all(found) and any(each != found[0] for each in found)


def _is_path(paths: Paths, text: str) -> bool:
    """Whether `text`, the value of an attribute or a part of it, names something on this machine."""
    try:
        return bool(paths_of(paths, text))
    except ValueError:  # which will be told
        return False


def without_follow_ups(problems: Iterable[Problem]) -> list[Problem]:
    """`problems` without what else is said of a place where something sensitive may not stand."""
    problems = list(problems)
    refused = {each.key for each in problems if each.code is Code.SENSITIVE}
    return [each for each in problems if each.code is Code.SENSITIVE or each.key not in refused]


def redacted_problem(problem: Problem, redactor: Redactor, places: Iterable[Place] = ()) -> Problem:
    """`problem` without what is to be hidden.

    A part of a secret cannot be found. So of what a sensitive value went into, which `places` tell, nothing is quoted
    but what the plan itself says there, and no remedy that goes by what is not quoted.
    """
    culprit = "" if redactor.finds(problem.culprit) else problem.culprit
    message, hint = redactor.redact(problem.message), redactor.redact(problem.hint)
    if problem.code is not Code.SENSITIVE:
        written = [text for key, text in places if _touches(key, problem.key)]
        message = _QUOTED.sub(lambda found: _as_written(found, written), message) if written else message
        hint = "" if written and message != problem.message and _QUOTED.search(hint) else hint
    return replace(problem, message=message, hint=hint, culprit=culprit)


_QUOTED = re.compile(r"""(["'])(.+)\1""", re.DOTALL)
"""From the first quotation mark to the last: there may be such marks in what is quoted."""


def _touches(place: KeyPath, key: KeyPath) -> bool:
    """Whether what is said of `key` may be about `place`: a value, a part of one, or a list of values."""
    shorter = min(len(place), len(key))
    return place[:shorter] == key[:shorter] and (len(key) >= len(place) or len(key) > _OF_A_TABLE)


_OF_A_TABLE = 2
"""The length of the key of a table: `targets.web`."""


def _as_written(found: re.Match[str], written: Iterable[str]) -> str:
    return found[0] if any(found[2] in text for text in written) else _masked(found)


def _masked(found: re.Match[str]) -> str:
    return f"{found[1]}{MASK}{found[1]}"
