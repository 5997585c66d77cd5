"""What `--set GLOB.KEY=VALUE` changes: an attribute of the targets whose names the pattern matches."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import UsageError
from mpbake.base.platforms import parse_platform
from mpbake.base.redaction import Redactor, credentials_in
from mpbake.base.text import NOT_UTF_8, did_you_mean, is_unicode, one_line
from mpbake.spec.attributes import Merge
from mpbake.spec.plan_files import SETTING
from mpbake.spec.target_tables import ATTRIBUTES, PLATFORM_ATTRIBUTES, ValueKind, value_kind
from mpbake.spec.toml_values import read_key, read_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.base.errors import KeyPath
    from mpbake.base.platforms import Platform

_FORM = "write GLOB.KEY=VALUE, such as web.args.DEBUG=1, '*.platforms=[\"linux/arm64\"]' or web.tags+=NAME"
_PLATFORM = "platform"


@dataclass(frozen=True, kw_only=True, slots=True)
class SetOverride:
    """One `--set`. With `platform` it is for that one only; `append` says that it was written with `+=`.

    `value` is what the attribute is set to, or, where it `adds`, what is put to what it has already.
    """

    key: KeyPath
    pattern: str
    attribute: str
    value: Any
    platform: Platform | None = None
    append: bool = False
    adds: bool = False

    def matches(self, name: str) -> bool:
        """Whether the target or table `name` is meant; a template only by a pattern that says so."""
        if name.startswith("_") and not self.pattern.startswith("_"):
            return False
        return fnmatch.fnmatchcase(name, self.pattern)


def parse_overrides(texts: Iterable[str]) -> tuple[SetOverride, ...]:
    """Read the values of `--set`. Raises UsageError for the first that cannot be understood."""
    return tuple(_parse(text, number) for number, text in enumerate(texts))


def _parse(text: str, number: int) -> SetOverride:
    if not is_unicode(text):
        raise _wrong(text, NOT_UTF_8, "a plan holds text, and so does what is set in it")
    left, equals, value = text.partition("=")
    append = left.endswith("+")
    pattern, _, path = left.removesuffix("+").partition(".")
    if not (equals and pattern and path):
        raise _wrong(text, "is not GLOB.KEY=VALUE", _FORM)
    attribute, *below = _parts(text, path)
    platform = None
    if attribute == _PLATFORM:
        platform, attribute, below = _for_platform(text, below)
    _check_attribute(text, attribute, PLATFORM_ATTRIBUTES if platform else _SETTABLE)
    kind = value_kind(attribute)
    if not all(below):
        raise _wrong(text, "has an empty name", _FORM)
    if below and kind is not ValueKind.MAP:
        raise _wrong(text, f"{attribute} has no keys", _FORM)
    if append and (below or kind not in {ValueKind.LIST, ValueKind.MAP}):
        raise _wrong(text, "+= adds to lists and tables only", "write = instead")
    return SetOverride(
        key=(SETTING, number),
        pattern=pattern,
        attribute=attribute,
        value={".".join(below): value} if below else _typed(text, kind, value),
        platform=platform,
        append=append,
        adds=append or bool(below),
    )


_SETTABLE = [name for name, each in ATTRIBUTES.items() if each.merge is not Merge.OWN and name != _PLATFORM]


def _parts(text: str, path: str) -> list[str]:
    """The parts of `args.X`; quotes are TOML's. Only the first dots count: `labels.org.example.title` has two parts."""
    if not {'"', "'"} & set(path):
        return path.split(".", 3 if path.startswith(f"{_PLATFORM}.") else 1)
    try:
        return read_key(path)
    except ValueError:
        raise _wrong(text, "has a key that cannot be read", _FORM) from None


def _for_platform(text: str, below: list[str]) -> tuple[Platform, str, list[str]]:
    try:
        return parse_platform(below[0]), below[1], below[2:]
    except (ValueError, IndexError):
        hint = "write GLOB.platform.OS/ARCH.KEY=VALUE, or GLOB.platforms=… for the platforms to build"
        raise _wrong(text, "names no platform and key", hint) from None


def _check_attribute(text: str, attribute: str, known: Iterable[str]) -> None:
    if attribute in ATTRIBUTES and ATTRIBUTES[attribute].merge is Merge.OWN:
        hint = "it belongs to the table that makes the targets, not to each of them: change the plan"
        raise _wrong(text, f"{attribute} cannot be set", hint)
    if attribute not in known:
        raise _wrong(text, f'unknown key "{one_line(attribute)}"', did_you_mean(attribute, known, kind="keys"))


def _typed(text: str, kind: ValueKind, value: str) -> Any:
    """`value` as what the attribute holds: lists and tables as TOML writes them, a single item by itself."""
    match kind:
        case ValueKind.TEXT:
            return value
        case ValueKind.LIST if not value.lstrip().startswith("["):
            return [value] if value else []
        case _:
            found = read_value(value)
            if found is None and kind in {ValueKind.LIST, ValueKind.MAP}:
                raise _wrong(text, f"is not a {'list' if kind is ValueKind.LIST else 'table'}", _FORM)
            return value if found is None else found


def _wrong(text: str, message: str, hint: str) -> UsageError:
    shown = Redactor(credentials_in(text.partition("=")[2])).redact(text)
    return UsageError(f"{SETTING} {one_line(shown)}: {message}", hint=hint)
