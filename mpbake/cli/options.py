"""The options of each command. This module imports little, so that `--help` stays fast.

Each command has one class. Options that several commands share have their own classes, which are fields of the
commands' classes. An empty value, or None, means that the option was not given.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

CommandOptions = TypeVar("CommandOptions")

SAVED_SUFFIX = ".json"
"""The end of the name of a saved plan. No target, group or pattern of a plan ends like this."""

STANDARD_OUTPUT = "-"
"""The file name that means standard output."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceOptions:
    """The files of the plan, the values with which mpbake resolves the plan, and the rights of the plan.

    `allow` grants rights on this machine. With `untrusted`, the plan reads no environment variable.
    """

    directory: str = ""
    files: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    var_files: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    untrusted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class OverrideOptions:
    """The command-line options that change every target of the plan."""

    push: bool | None = None
    load: bool = False
    no_cache: bool = False
    pull: bool = False
    platforms: tuple[str, ...] = ()
    builder: str = ""
    publish: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """The options of `mpbake run`."""

    names: tuple[str, ...] = ()
    source: SourceOptions = field(default_factory=SourceOptions)
    overrides: OverrideOptions = field(default_factory=OverrideOptions)
    metadata_file: str = ""
    plan_id: str = ""
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanOptions:
    """The options of `mpbake plan`, and of `mpbake run --dry-run`, which may be `quiet`."""

    names: tuple[str, ...] = ()
    source: SourceOptions = field(default_factory=SourceOptions)
    overrides: OverrideOptions = field(default_factory=OverrideOptions)
    format: str = "text"
    explain: str = ""
    probe: bool = False
    output: str = ""
    quiet: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffOptions:
    """The options of `mpbake diff`. `against` is a revision, or the name of a saved plan."""

    against: str = "HEAD"
    names: tuple[str, ...] = ()
    source: SourceOptions = field(default_factory=SourceOptions)
    overrides: OverrideOptions = field(default_factory=OverrideOptions)
    format: str = "text"
    detailed_exitcode: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckOptions:
    """The options of `mpbake check`. `without_secrets` accepts that secret files are missing."""

    source: SourceOptions = field(default_factory=SourceOptions)
    strict: bool = False
    without_secrets: bool = False
    format: str = "text"


@dataclass(frozen=True, kw_only=True, slots=True)
class DoctorOptions:
    """The options of `mpbake doctor`."""

    names: tuple[str, ...] = ()
    source: SourceOptions = field(default_factory=SourceOptions)
    overrides: OverrideOptions = field(default_factory=OverrideOptions)
    format: str = "text"
    no_color: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyOptions:
    """The options of `mpbake verify`."""

    names: tuple[str, ...] = ()
    source: SourceOptions = field(default_factory=SourceOptions)


@dataclass(frozen=True, kw_only=True, slots=True)
class ListOptions:
    """The options of `mpbake list`."""

    source: SourceOptions = field(default_factory=SourceOptions)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShowOptions:
    """The options of `mpbake show`."""

    names: tuple[str, ...] = ()
    source: SourceOptions = field(default_factory=SourceOptions)
    overrides: OverrideOptions = field(default_factory=OverrideOptions)
    origin: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOptions:
    """The options of `mpbake export`."""

    names: tuple[str, ...] = ()
    source: SourceOptions = field(default_factory=SourceOptions)
    overrides: OverrideOptions = field(default_factory=OverrideOptions)
    format: str = "bake"


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildersOptions:
    """The options of `mpbake builders` and of its subcommands; `action` is the name of the subcommand."""

    action: str
    names: tuple[str, ...] = ()
    source: SourceOptions = field(default_factory=SourceOptions)
    detailed_exitcode: bool = False
    keep_state: bool = False
    forget: bool = False
    adopt: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class CertsOptions:
    """The options of `mpbake certs` and of its subcommands; `action` is the name of the subcommand."""

    action: str
    names: tuple[str, ...] = ()
    source: SourceOptions = field(default_factory=SourceOptions)
    ca_key: str = ""
    days: int | None = None
    rekey: bool = False
    format: str = "text"


@dataclass(frozen=True, kw_only=True, slots=True)
class InitOptions:
    """The options of `mpbake init`."""

    directory: str = ""
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportBuildersOptions:
    """The options of `mpbake import --builder`. `builders` are the names of builders in buildx."""

    builders: tuple[str, ...] = ()
    directory: str = ""
    output: str = ""
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportOptions:
    """The options of `mpbake import`. `paths` and `files` are the bake files, without and with `-f`."""

    paths: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    directory: str = ""
    output: str = ""
    dry_run: bool = False
    force: bool = False
    format: str = "text"


@dataclass(frozen=True, kw_only=True, slots=True)
class SchemaOptions:
    """The options of `mpbake schema`."""

    format: str = "json"


def option_names(kind: type[Any]) -> frozenset[str]:
    """Return the names of all options of a command's class, including shared options."""
    names: set[str] = set()
    for option in fields(kind):
        names |= option_names(shared) if (shared := _shared_class(option)) else {option.name}
    return frozenset(names)


def make_options(kind: type[CommandOptions], values: Mapping[str, Any]) -> CommandOptions:
    """Return the options of a command from values by option name. Raises TypeError for unknown names."""
    if unknown := values.keys() - option_names(kind):
        raise TypeError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    return _fill(kind, values)


def _fill(kind: type[CommandOptions], values: Mapping[str, Any]) -> CommandOptions:
    arguments: dict[str, Any] = {}
    for option in fields(kind):  # type: ignore[arg-type]
        if shared := _shared_class(option):
            arguments[option.name] = _fill(shared, values)
        elif option.name in values:
            arguments[option.name] = values[option.name]
    return kind(**arguments)


def _shared_class(option: Any) -> type[Any] | None:
    """Return the class of a field that holds shared options; None for a single option."""
    factory = option.default_factory
    return factory if isinstance(factory, type) and is_dataclass(factory) else None
