"""The option `--set GLOB.KEY=VALUE`: changes an attribute of all targets whose names match a pattern."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.errors import UsageError
from mpbake.base.platforms import parse_platform
from mpbake.base.redaction import Redactor, credentials_in
from mpbake.base.text import NOT_UTF_8, did_you_mean, is_unicode, one_line
from mpbake.spec.files.plan_files import SETTING
from mpbake.spec.files.toml_values import read_key, read_value
from mpbake.spec.problem import Problem
from mpbake.spec.tables.attributes import Merge
from mpbake.spec.tables.target_tables import ATTRIBUTES, PLATFORM_ATTRIBUTES, ValueKind, value_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mpbake.base.errors import KeyPath
    from mpbake.base.platforms import Platform

_FORM_HINT = "write GLOB.KEY=VALUE, such as web.args.DEBUG=1, '*.platforms=[\"linux/arm64\"]' or web.tags+=NAME"
_PLATFORM_KEY = "platform"


@dataclass(frozen=True, kw_only=True, slots=True)
class SetOverride:
    """One `--set` option. `platform` limits the override to one platform; `append` means the notation `+=`.

    If `adds` is true, `value` is added to the attribute; otherwise `value` replaces the attribute.
    """

    key: KeyPath
    pattern: str
    attribute: str
    value: Any
    platform: Platform | None = None
    append: bool = False
    adds: bool = False

    def matches(self, name: str) -> bool:
        """Whether the override applies to the target or table `name`. `_NAME` needs a pattern with a leading `_`."""
        if name.startswith("_") and not self.pattern.startswith("_"):
            return False
        return fnmatch.fnmatchcase(name, self.pattern)


def parse_overrides(texts: Iterable[str]) -> tuple[SetOverride, ...]:
    """Parse the values of `--set`. Raises UsageError for the first invalid value."""
    return tuple(_parse_override(text, number) for number, text in enumerate(texts))


def unmatched_overrides(overrides: Iterable[SetOverride], names: Sequence[str]) -> Iterator[Problem]:
    """Yield a problem for each override that matches no target, most likely because of a typo."""
    for override in overrides:
        if not any(override.matches(name) for name in names):
            message = f'no target matches "{one_line(override.pattern)}"'
            hint = did_you_mean(override.pattern, names, kind="targets")
            yield Problem(code=Code.SETTING_MATCHES_NOTHING, key=override.key, message=message, hint=hint)


def _parse_override(text: str, number: int) -> SetOverride:
    if not is_unicode(text):
        raise _usage_error(text, NOT_UTF_8, "use UTF-8: a plan contains only text")
    left, equals, value = text.partition("=")
    append = left.endswith("+")
    pattern, _, path = left.removesuffix("+").partition(".")
    if not (equals and pattern and path):
        raise _usage_error(text, "is not GLOB.KEY=VALUE", _FORM_HINT)
    attribute, *subkeys = _path_parts(text, path)
    platform = None
    if attribute == _PLATFORM_KEY:
        platform, attribute, subkeys = _split_platform(text, subkeys)
    _check_attribute(text, attribute, PLATFORM_ATTRIBUTES if platform else _SETTABLE)
    kind = value_kind(attribute)
    if not all(subkeys):
        raise _usage_error(text, "has an empty name", _FORM_HINT)
    if subkeys and kind is not ValueKind.MAP:
        raise _usage_error(text, f"{attribute} has no keys", _FORM_HINT)
    if append and (subkeys or kind not in {ValueKind.LIST, ValueKind.MAP}):
        raise _usage_error(text, "+= adds to lists and tables only", "use = instead")
    return SetOverride(
        key=(SETTING, number),
        pattern=pattern,
        attribute=attribute,
        value={".".join(subkeys): value} if subkeys else _typed_value(text, kind, value),
        platform=platform,
        append=append,
        adds=append or bool(subkeys),
    )


_SETTABLE = [
    name for name, attribute in ATTRIBUTES.items() if attribute.merge is not Merge.OWN and name != _PLATFORM_KEY
]


def _path_parts(text: str, path: str) -> list[str]:
    """Split a path such as `args.X` at the first dot: `labels.a.b` has two parts. Quotes work as in TOML.

    A path that starts with `platform.` is split at the first three dots.
    """
    if not {'"', "'"} & set(path):
        return path.split(".", 3 if path.startswith(f"{_PLATFORM_KEY}.") else 1)
    try:
        return read_key(path)
    except ValueError:
        raise _usage_error(text, "has an invalid key", _FORM_HINT) from None


def _split_platform(text: str, parts: list[str]) -> tuple[Platform, str, list[str]]:
    try:
        return parse_platform(parts[0]), parts[1], parts[2:]
    except (ValueError, IndexError):
        hint = "write GLOB.platform.OS/ARCH.KEY=VALUE, or GLOB.platforms=… for the platforms to build"
        raise _usage_error(text, "names no platform and key", hint) from None


def _check_attribute(text: str, attribute: str, known: Iterable[str]) -> None:
    if attribute in ATTRIBUTES and ATTRIBUTES[attribute].merge is Merge.OWN:
        hint = "change it in the plan: it belongs to the table, not to the targets that the table defines"
        raise _usage_error(text, f"{attribute} cannot be set", hint)
    if attribute not in known:
        hint = did_you_mean(attribute, known, kind="keys")
        raise _usage_error(text, f'unknown key "{one_line(attribute)}"', hint)


def _typed_value(text: str, kind: ValueKind, value: str) -> Any:
    """Convert `value` to the attribute's kind: lists and tables in TOML; a list also takes a single item."""
    match kind:
        case ValueKind.TEXT:
            return value
        case ValueKind.LIST if not value.lstrip().startswith("["):
            return [value] if value else []
        case _:
            parsed = read_value(value)
            if parsed is None and kind in {ValueKind.LIST, ValueKind.MAP}:
                raise _usage_error(text, f"is not a {'list' if kind is ValueKind.LIST else 'table'}", _FORM_HINT)
            return value if parsed is None else parsed


def _usage_error(text: str, message: str, hint: str) -> UsageError:
    shown = Redactor(credentials_in(text.partition("=")[2])).redact(text)
    return UsageError(f"{SETTING} {one_line(shown)}: {message}", hint=hint)
