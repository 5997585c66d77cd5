"""The declaration of a node for buildx: driver options, flags, configuration, and the mark of these values."""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import UsageError
from mpbake.base.files import is_file, read_bounded
from mpbake.base.references import format_fields
from mpbake.base.text import one_line
from mpbake.base.toml_text import toml_document
from mpbake.certs.finding import PATH_HINT, UNREADABLE_HINT
from mpbake.graph.preflight.certificates import fingerprint
from mpbake.resolve.builders.node_options import named_files, read_config
from mpbake.spec.tables.builder_tables import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mpbake.model.plan import Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Declaration:
    """The values of a node for buildx. `config` is the text of the node's buildkitd.toml.

    `mark` is empty if buildx creates no resource for the node.
    """

    options: Mapping[str, str]
    flags: tuple[str, ...]
    config: str
    mark: str


def declare(node: Node) -> Declaration:
    """Return the declaration of `node`. Raises UsageError if a file in the declaration cannot be read."""
    config, files = _config(node)
    options = node.driver.rules.tls_options(node) | dict(node.options)
    rules = node.driver.rules.resource
    mark = ""
    if rules and rules.add_mark:
        mark = _mark(node, config, files)
        rules.add_mark(options, mark)
    return Declaration(options=options, flags=node.flags, config=config, mark=mark)


def resource_mark(node: Node) -> str:
    """Return the mark of the resource of `node`, as declared. Raises UsageError as `declare` does."""
    return _mark(node, *_config(node))


def resource_settings(node: Node) -> dict[str, str]:
    """Return the settings on which the resource of `node` depends, by name, for messages. Raises UsageError.

    Certificates that are not on this machine are left out, since only a machine that deploys the node needs
    certificates of the server.
    """
    options = {name: value for name, value in node.options if not _is_of_client(name)}
    rules = node.driver.rules.resource
    if rules is None:
        return options
    fingerprints = {name: fingerprint(path) for name, path in rules.certificates(node).items() if is_file(path)}
    return options | dict(rules.settings(node)) | fingerprints


def without_spreading(node: Node, options: Mapping[str, str]) -> dict[str, str]:
    """Return the driver `options` of `node` without options that spread the calls of a run over several BuildKits."""
    spreading = node.driver.rules.spreading_options
    return {name: value for name, value in options.items() if name not in spreading}


def for_run(node: Node) -> Node:
    """Return `node` as a run uses it: all calls of the run reach the same BuildKit."""
    return replace(node, options=tuple(without_spreading(node, dict(node.options)).items()))


def create_arguments(declaration: Declaration, config: Path) -> list[str]:
    """Return the arguments of `buildx create` for a node.

    Write the node's configuration, if any, to the file `config`.
    """
    options = declaration.options.items()
    arguments = [part for name, value in options for part in ("--driver-opt", format_fields({name: value}))]
    if declaration.flags:
        arguments += ["--buildkitd-flags", shlex.join(declaration.flags)]
    if declaration.config:
        config.write_text(declaration.config, encoding="utf-8")
        arguments += ["--buildkitd-config", str(config)]
    return arguments


def _mark(node: Node, config: str, files: Iterable[Path]) -> str:
    """Return the mark of a node, without the options that only the client uses."""
    values: dict[str, Any] = dict(resource_settings(node))
    values["driver"] = node.driver
    if node.flags:
        values["flags"] = node.flags
    if config:
        values["config"] = [config, *(_digest(_content(node, path)) for path in files)]
    return ";".join(f"{name}={_digest(json.dumps(value).encode())}" for name, value in sorted(values.items()))


def _is_of_client(option: str) -> bool:
    """Whether only the client uses an option. An option of a newer buildx, which mpbake does not know, may matter."""
    known = OPTIONS.get(option.partition(".")[0])
    return known is not None and known.of_client


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:8]


def _config(node: Node) -> tuple[str, tuple[Path, ...]]:
    """Return the configuration of a node, and the existing files that the configuration names. Raises UsageError."""
    text, files = node.config, node.config_names
    if node.config_file is not None:
        _check_exists(node, "config", node.config_file)
        table = read_config(node.config_file)
        text, files = toml_document(table), named_files(table)
    for path in files:
        _check_exists(node, "registry", path)
    return text, files


def _content(node: Node, path: Path) -> bytes:
    try:
        return read_bounded(path, pipe=False)
    except OSError as error:
        message = f"{node.id}: registry: {one_line(str(path))} cannot be read: {error.strerror}"
        raise UsageError(message, hint=UNREADABLE_HINT) from None


def _check_exists(node: Node, key: str, path: Path) -> None:
    if not is_file(path):
        message = f"{node.id}: {key}: there is no file {one_line(str(path))}"
        raise UsageError(message, hint=PATH_HINT)
