"""The values of templates: kinds, size, text, and which values may leave the sandbox."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jinja2 import StrictUndefined, Undefined
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context

from mpbake.base.text import did_you_mean, is_unicode, one_line
from mpbake.base.toml_text import toml_value
from mpbake.resolve.template.filters import GIT_FACTS, VERSION_PARTS, FilterError, SemanticVersion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.resolve.template.filters import AskGit

NUMBER_TOO_LARGE = "a number this large is not allowed"
NOT_UNICODE = "the result contains half a character (a surrogate)"
ITEM_WEIGHT = 250
"""The characters that an item of a list counts for."""
_RANGE_ITEM_WEIGHT = 25
"""The characters that an item of a range counts for."""
_MAX_BITS = 10_000


class GitFacts:
    """The object `git` in templates. Each attribute is looked up once, at its first use."""

    def __init__(self, ask: AskGit) -> None:
        self._ask = ask
        self._answers: dict[str, str | bool | FilterError] = {}

    def __getattr__(self, name: str) -> str | bool:
        """Return one of `GIT_FACTS`. Raises FilterError if git fails."""
        if name not in GIT_FACTS:
            raise AttributeError(name)
        if name not in self._answers:
            try:
                self._answers[name] = self._ask(name)
            except FilterError as error:
                self._answers[name] = error
        answer = self._answers[name]
        if isinstance(answer, FilterError):
            message, _, hint = str(answer).partition("\n")
            raise FilterError(message, hint, answer.code, culprit=f"git.{name}")
        return answer

    def __repr__(self) -> str:
        """Raise FilterError: the object itself cannot be printed."""
        known = ", ".join(f"git.{fact}" for fact in GIT_FACTS)
        raise FilterError("git is not a value", f"use one of {known}", culprit="git")


class UndefinedValue(StrictUndefined):
    """An undefined value. For an attribute or key, a second line of the message suggests a similar name."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        owner, names = _known_names(self._undefined_obj)
        if self._undefined_hint or not owner:
            return one_line(super()._undefined_message)
        name = str(self._undefined_name)
        return f'{owner} has no "{one_line(name)}"\n{did_you_mean(name, names)}'


def _known_names(owner: Any) -> tuple[str, Iterable[str]]:
    """Return a word for `owner` in messages, and its attributes or keys; both empty to use Jinja's own message."""
    match owner:
        case GitFacts():
            return "git", GIT_FACTS
        case SemanticVersion():
            return "a version", VERSION_PARTS
        case Mapping():
            return "the table", [key for key in owner if isinstance(key, str)]
        case _:
            return "", ()


def rendered_text(value: Any) -> str:
    """Return a value as text: a string unchanged, none as an empty string, anything else as TOML."""
    if isinstance(value, str):
        return value
    return "" if value is None else toml_value(_builtin(value))


def _builtin(value: Any) -> Any:
    """Return `value` with all collections converted to Python's lists and dicts. Raises TypeError for other types."""
    match value:
        case None:
            raise TypeError("none is not a value")
        case bytes():
            raise TypeError("bytes are not text")
        case Mapping():
            return {rendered_text(key): _builtin(item) for key, item in value.items()}
        case _ if is_collection(value):
            return [_builtin(item) for item in value]
        case _:
            return value


def check_value(value: Any) -> None:
    """Raise an error if `value` cannot be a value of a plan: undefined, not evaluated, too large, or invalid text."""
    if isinstance(value, StrictUndefined | GitFacts):
        str(value)  # raises the error with the right message
    if isinstance(value, Undefined):
        raise TypeError("an `if` without `else` has no value here: add `else`")
    if callable(value):
        raise TypeError("a function is not a value: it must be called")
    if is_large_number(value):
        raise SecurityError(NUMBER_TOO_LARGE)
    if isinstance(value, str) and not is_unicode(value):
        raise ValueError(NOT_UNICODE)
    if isinstance(value, Iterator):
        raise TypeError("a lazy sequence is not a value: add | list")


def weight(value: Any) -> int:
    """Return the size of `value` in characters, without its contents. Raises SecurityError if a number is too large."""
    if isinstance(value, str | bytes):
        return len(value)
    if is_large_number(value):
        raise SecurityError(NUMBER_TOO_LARGE)
    if isinstance(value, range):
        return _RANGE_ITEM_WEIGHT * len(value)
    return ITEM_WEIGHT * len(value) if is_collection(value) else 0


def is_large_number(value: Any) -> bool:
    """Whether `value` is an integer too large to compute with."""
    return isinstance(value, int) and value.bit_length() > _MAX_BITS


def is_large_product(left: int, right: int) -> bool:
    """Whether the product of two integers would be too large to compute with."""
    return left.bit_length() + right.bit_length() > _MAX_BITS


def is_collection(value: Any) -> bool:
    """Whether `value` is a collection such as a list or a table; False for text and for a range."""
    return isinstance(value, Collection) and not isinstance(value, str | bytes | range | Undefined | Context)


def is_lazy_sequence(value: Any) -> bool:
    """Whether `value` is a lazy sequence, such as the result of the filter `map`."""
    return isinstance(value, Iterator) and not callable(value)
