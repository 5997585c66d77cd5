"""Platforms as `os/architecture[/variant]`, normalised as containerd does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from mpbake.base.text import closest_name, did_you_mean, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_ALIASES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}
SYSTEMS = ("darwin", "freebsd", "linux", "netbsd", "openbsd", "wasi", "windows")
ARCHITECTURES = (
    *("386", "amd64", "arm", "arm64", "armbe", "arm64be", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc"),
    *("ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x", "sparc", "sparc64", "wasm"),
)
_DEFAULT_VARIANTS = {("amd64", "v1"), ("arm64", "v8"), ("arm64", "8")}
_PART = re.compile(r"[A-Za-z0-9_.-]+")
_OS_OPTIONS = re.compile(r"\(.*?\)")
"""The version and features of an operating system, as in `windows(10.0.17763+win32k)/amd64`."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Platform:
    """A normalised platform. `str()` returns the form that Docker prints."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        """`linux/arm/v7`."""
        text = f"{self.os}/{self.architecture}"
        return f"{text}/{self.variant}" if self.variant else text

    @property
    def slug(self) -> str:
        """The platform as a part of names: `linux-arm-v7`."""
        return str(self).replace("/", "-")


class PlatformText(str):
    """A platform as templates see it: `{{ platform }}`, and `.os`, `.arch`, `.variant`, `.slug` (`linux-arm-v7`)."""

    __slots__ = ("arch", "os", "slug", "variant")

    def __new__(cls, platform: Platform) -> Self:
        """The text of `platform`."""
        text = super().__new__(cls, str(platform))
        text.os, text.arch, text.variant = platform.os, platform.architecture, platform.variant
        text.slug = platform.slug
        return text

    os: str
    arch: str
    variant: str
    slug: str


@lru_cache(maxsize=1024)  # a plan repeats a few platforms many times
def parse_platform(text: str) -> Platform:
    """Return the normalised platform that `text` names.

    `linux/arm64/v8` becomes `linux/arm64`, `linux/x86_64` becomes `linux/amd64`, `linux/arm` becomes `linux/arm/v7`.
    Raises ValueError with a message for users if `text` is not a platform.
    """
    if _OS_OPTIONS.search(text):
        plain = one_line(_OS_OPTIONS.sub("", text))
        msg = "buildx drops the version of an operating system (seen up to 0.36)\n"
        raise ValueError(f"{msg}write {plain}: the base image gives the version")
    parts = text.strip().lower().split("/")
    if not 2 <= len(parts) <= 3 or not all(_PART.fullmatch(part) for part in parts):
        msg = f'"{one_line(text)}" is not a platform: write os/architecture[/variant], such as linux/arm64'
        raise ValueError(msg)
    system, architecture = parts[:2]
    variant = parts[2] if len(parts) == 3 else ""
    architecture, implied = _ALIASES.get(architecture, (architecture, ""))
    variant = variant or implied
    if architecture == "arm":
        variant = f"v{variant.removeprefix('v') or '7'}"
    if (architecture, variant) in _DEFAULT_VARIANTS:
        variant = ""
    return Platform(os=system, architecture=architecture, variant=variant)


def reported_platform(text: str) -> Platform:
    """Parse a platform that a node reports; drop the version of the operating system. Raises ValueError."""
    return parse_platform(_OS_OPTIONS.sub("", text))


def platform_of_entry(entry: Mapping[str, Any]) -> Platform:
    """Return the platform of an index entry or image config (OCI image specification). Raises ValueError.

    A missing field becomes `unknown`. An entry that is not an image has no platform.
    """
    parts = (entry.get("os") or "unknown", entry.get("architecture") or "unknown", entry.get("variant"))
    return parse_platform("/".join(part for part in parts if part))


def can_execute(hardware: Platform, wanted: Platform) -> bool:
    """Whether a machine with the platform `hardware` executes `wanted` without emulation.

    True for the same architecture in the same or a lower variant, and for linux/386 on amd64. 32-bit ARM does not count
    as native on arm64, since many cores no longer execute 32-bit code. For a node that executes 32-bit code, the plan
    can declare the platform.
    """
    if hardware.os != wanted.os:
        return False
    if hardware.architecture == "amd64" and wanted.architecture == "386":
        return True
    return hardware.architecture == wanted.architecture and _level(hardware) >= _level(wanted)


def runs_natively(reported: Sequence[Platform], wanted: Platform) -> bool:
    """Whether a machine that reports the platforms `reported` executes `wanted` without emulation.

    The first reported platform is the platform of the hardware. A machine reports a higher variant of the same
    architecture only if the hardware supports this variant.
    """
    first = [(platform.os, platform.architecture) for platform in reported[:1]]
    own = [platform for platform in reported if (platform.os, platform.architecture) in first]
    return any(can_execute(platform, wanted) for platform in own)


def _level(platform: Platform) -> int:
    digits = re.sub(r"\D", "", platform.variant)
    if digits:
        return int(digits[:3])
    return 8 if platform.architecture == "arm64" else 1


def is_known(platform: Platform) -> bool:
    """Whether mpbake knows the operating system and the architecture. Otherwise the platform may be misspelt."""
    return platform.os in SYSTEMS and platform.architecture in ARCHITECTURES


def suggest_platform(platform: Platform, known: Iterable[Platform]) -> str:
    """Return a hint for a platform that is not in `known`: the closest known platform, or else all of `known`."""
    return did_you_mean("" if is_known(platform) else str(platform), map(str, known), kind="platforms")


def check_platform(text: str) -> None:
    """Raise ValueError if a part of a platform looks misspelt; the second line of the message is the hint."""
    platform = parse_platform(text)
    parts = ("operating system", platform.os, SYSTEMS), ("architecture", platform.architecture, ARCHITECTURES)
    for kind, part, known in parts:
        if part not in known and closest_name(part, known):
            msg = f'unknown {kind} "{one_line(part)}"\n{did_you_mean(part, known)}'
            raise ValueError(msg)


LOCAL = "local"
"""The platform of the machine that runs mpbake, as in bake."""


def split_platforms(text: str) -> list[str]:
    """Return the platforms in an entry of a list: bake also takes several with commas between them."""
    return [part.strip() for part in text.split(",")] if "," in text else [text]


def each_platform(check: Callable[[str], object]) -> Callable[[str], None]:
    """Return a check of an entry of a list of platforms. The new check applies `check` to all parts except `local`."""

    def check_parts(text: str) -> None:
        for part in split_platforms(text):
            if part.lower() != LOCAL:
                check(part)

    return check_parts


def platform_of_machine(system: str, machine: str) -> str:
    """Return the platform of a machine as text, or an empty text if it is unknown.

    `system` and `machine` are names as Python's module `platform` gives them, such as `Linux` and `x86_64`.
    """
    architecture = _ARM.sub(r"arm/\1", machine)
    try:
        return str(parse_platform(f"{system}/{architecture}"))
    except ValueError:
        return ""


_ARM = re.compile(r"arm(v[67])l?")


def parse_platforms(texts: Iterable[str]) -> tuple[Platform, ...]:
    """Parse platforms; drop duplicates, keep the order. Raises ValueError as `parse_platform` does."""
    return tuple(dict.fromkeys(parse_platform(text) for text in texts))
