"""The actual options of a container or Deployment that was made by hand, and the mark that mpbake gives it. Pure.

An option of the engine counts if the engine reports it; otherwise, the option in buildx's store counts. buildx itself
changes only the store if somebody creates a node again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from mpbake.base.errors import PlanError
from mpbake.base.files import read_bounded
from mpbake.buildkit.nodes.instances.declaration import declare, resource_mark
from mpbake.model.existing_builders import CONFIG_FILE, CONFIG_FOLDER
from mpbake.model.node_state import ADDED_FLAG
from mpbake.resolve.builders.node_options import named_files
from mpbake.spec.files.toml_values import parse_toml, with_other_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.model.existing_builders import ExistingNode
    from mpbake.model.plan import Node

_CONFIG_FLAG = "--config"


class ReportedOptions(Protocol):
    """The options that an engine or cluster reports."""

    def reports(self, option: str) -> bool:
        """Return whether the value of an option is known."""

    def agrees(self, option: str, text: str) -> bool:
        """Return whether an option has the value `text`; an empty text is the default."""

    def value(self, option: str) -> str:
        """Return the value of an option as text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ActualResource:
    """The options, the command line and the files of a container or Deployment, as its engine or cluster reports them.

    `names` are the options that may be set although neither the plan nor buildx's store names them.
    """

    options: ReportedOptions
    names: Sequence[str]
    flags: Sequence[str]
    files: Mapping[str, bytes]


def adopted_mark(node: Node, existing: ExistingNode, actual: ActualResource) -> str:
    """Return the mark of an existing resource of `node`: the mark that it would have if mpbake had made it.

    Raises UsageError if a file in the declaration of `node` cannot be read.
    """
    flags = daemon_flags(actual.flags)
    made = replace(node, options=_actual_options(node, existing, actual), flags=flags)
    config = actual.files.get(CONFIG_FILE, b"").decode(errors="replace")
    if not has_declared_config(node, actual.files):
        made = replace(made, config=config, config_names=(), config_file=None)
    return resource_mark(made)


def _actual_options(node: Node, existing: ExistingNode, actual: ActualResource) -> tuple[tuple[str, str], ...]:
    """Return the options of a resource, each in the notation of the plan or of buildx's store if it has this value."""
    declared, stored = dict(node.options), dict(existing.options)
    values: dict[str, str] = {}
    for name in dict.fromkeys([*declared, *stored, *actual.names]):
        one, other = declared.get(name, ""), stored.get(name, "")
        if not actual.options.reports(name):
            values[name] = other
        elif actual.options.agrees(name, one):
            values[name] = one
        else:
            values[name] = other if actual.options.agrees(name, other) else actual.options.value(name)
    return tuple(sorted((name, value) for name, value in values.items() if value))


def daemon_flags(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments of buildkitd that a user gave, without those that buildx adds."""
    flags: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == _CONFIG_FLAG:
            next(rest, None)
        elif argument != ADDED_FLAG and not argument.startswith(f"{_CONFIG_FLAG}="):
            flags.append(argument)
    return tuple(flags)


def has_declared_config(node: Node, files: Mapping[str, bytes]) -> bool:
    """Whether `files` hold the declared configuration of buildkitd, with the same contents of its certificates."""
    declared, actual = declare(node).config, files.get(CONFIG_FILE, b"")
    if not declared or not actual:
        return not declared and not actual
    try:
        table, made = parse_toml(declared, CONFIG_FILE), parse_toml(actual.decode(), CONFIG_FILE)
        named = {str(path): _digest(read_bounded(path, pipe=False)) for path in named_files(table)}
    except (OSError, ValueError, PlanError):
        return False
    copied = {f"{CONFIG_FOLDER}/{name}": _digest(content) for name, content in files.items()}
    return bool(with_other_texts(table, named) == with_other_texts(made, copied))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
