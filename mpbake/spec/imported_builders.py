"""The tables of a plan for builders that exist in buildx, and warnings about what a plan cannot declare. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from mpbake.base.errors import PlanError
from mpbake.base.redaction import credentials_in, scalars_in
from mpbake.base.references import has_host, is_loopback
from mpbake.base.text import one_line
from mpbake.base.toml_text import toml_document, toml_key, toml_value
from mpbake.model.existing_builders import CONFIG_FILE, CONFIG_FOLDER
from mpbake.model.node_state import CERTIFICATE_OPTIONS
from mpbake.model.plan import Driver
from mpbake.spec.files.toml_values import parse_toml, with_other_texts
from mpbake.spec.tables.attributes import OptionForm
from mpbake.spec.tables.builder_tables import OPTIONS, option_default
from mpbake.spec.tables.value_types import NAME, as_literal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from mpbake.model.existing_builders import ExistingBuilder, ExistingNode

_TLS_KEYS = {"cacert": "ca", "cert": "cert", "key": "key", "servername": "servername"}
"""The key in `tls` for each driver option of a remote node."""
_INVALID_CHARACTERS = re.compile(r"[^A-Za-z0-9_-]")
_ENVIRONMENT = "env."
_COPIES = "registries"
"""The end of the name of the folder that gets buildx's copies of the certificates of registries."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedBuilder:
    """A builder of buildx as the table `[builders.NAME]` of a plan.

    `warnings` name everything that the table does not declare as it is. `files` are the files that the table names and
    that exist only in buildx's store, by their paths relative to the plan.
    """

    name: str
    table: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def node_count(self) -> int:
        """The number of nodes in the table."""
        return len(self.table.get("nodes", ()))


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportPlace:
    """The place of a new plan. `is_in_use`: whether an endpoint is the engine in use.

    `path` returns the path of a file for the plan: relative if the file is in the folder of the plan. `kubeconfig` is
    the configuration that names the cluster in use.
    """

    is_in_use: Callable[[str], bool]
    path: Callable[[str], str]
    kubeconfig: str = ""


class _NotDeclarable(Exception):
    """A builder cannot be declared, for the reason in the text."""


def imported_builder(builder: ExistingBuilder, place: ImportPlace) -> ImportedBuilder:
    """Return the table of a builder. A builder that a plan cannot declare becomes an `external` builder."""
    driver = next((driver for driver in Driver if driver.rules.is_declarable and driver == builder.driver), None)
    if driver is not None and driver.rules.is_engine:
        return _engine_builder(builder)
    try:
        return _declared_builder(builder, driver, place)
    except _NotDeclarable as reason:
        warning = f"{builder.name}: the plan uses it unchanged (external = true): {reason}"
        return ImportedBuilder(name=builder.name, table={"external": True}, warnings=(warning,))


def _engine_builder(builder: ExistingBuilder) -> ImportedBuilder:
    """Return the table of a builder that is part of a Docker engine."""
    (node,) = builder.nodes
    if not _is_builder_name(builder.name):
        warning = f"{builder.name}: the plan uses it unchanged (external = true): {_bad_name('a builder')}"
        return ImportedBuilder(name=builder.name, table={"external": True}, warnings=(warning,))
    nodes = {"nodes": {builder.name: {"endpoint": node.endpoint}}} if node.endpoint else {}
    return ImportedBuilder(name=builder.name, table={"driver": builder.driver, **nodes})


def _declared_builder(builder: ExistingBuilder, driver: Driver | None, place: ImportPlace) -> ImportedBuilder:
    """Return the table of a builder that buildx's store lists. Raises _NotDeclarable."""
    if not _is_builder_name(builder.name):
        raise _NotDeclarable(_bad_name("a builder"))
    if driver is None or not builder.nodes:
        raise _NotDeclarable(f"mpbake does not know its driver, {one_line(builder.driver)}")
    tables: dict[str, dict[str, Any]] = {}
    warnings: list[str] = []
    files: dict[str, bytes] = {}
    for node in builder.nodes:
        name = _node_name(builder.name, node.name, tables)
        table = _Table(builder=builder.name, driver=driver, node=node, place=place)
        tables[name] = table.content(name)
        warnings += table.warnings
        files |= table.files
    common = _common_options(list(tables.values()))
    nodes = {name: {key: value for key, value in table.items() if key not in common} for name, table in tables.items()}
    return ImportedBuilder(
        name=builder.name,
        table=as_literal({"driver": str(driver), **common, "nodes": nodes}),
        warnings=tuple(warnings),
        files=files,
    )


def _is_builder_name(name: str) -> bool:
    return bool(NAME.fullmatch(name)) and name[0].isalpha()


def _bad_name(what: str) -> str:
    return f"the name of {what} in a plan has only letters, digits, `_` and `-`"


def _node_name(builder: str, name: str, taken: Collection[str]) -> str:
    """Return a name in the plan for the node that buildx calls `name`: if possible, without the builder's name."""
    short, valid = name.removeprefix(f"{builder}-"), _INVALID_CHARACTERS.sub("-", name)
    candidates = (short, valid, *(f"{valid}-{number}" for number in range(2, len(taken) + 3)))
    return next(text for text in candidates if NAME.fullmatch(text) and text not in taken)


def _common_options(tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the options that all nodes have with the same value: the builder declares them once."""
    first, *others = tables
    return {
        key: value
        for key, value in first.items()
        if key in OPTIONS and all(other.get(key) == value for other in others)
    }


class _Table:
    """Makes the table of one node, and collects warnings and files."""

    def __init__(self, *, builder: str, driver: Driver, node: ExistingNode, place: ImportPlace) -> None:
        self._builder, self._driver, self._node, self._place = builder, driver, node, place
        self.warnings: list[str] = []
        self.files: dict[str, bytes] = {}

    def content(self, name: str) -> dict[str, Any]:
        """Return the table of the node that the plan calls `name`. Raises _NotDeclarable."""
        node, usual_name = self._node, self._driver.rules.buildx_name(self._node.name)
        if node.name != usual_name:
            raise _NotDeclarable(f"mpbake would call its node {one_line(node.name)} {one_line(usual_name)}")
        table: dict[str, Any] = {}
        if node.name != self._driver.rules.buildx_name(f"{self._builder}-{name}".lower()):
            table["buildx-name"] = node.name
        table |= self._endpoint()
        if node.platforms:
            table["platforms"] = list(node.platforms)
        if tls := self._tls():
            table["tls"] = tls
        for option, value in node.options:
            if not self._is_tls(option):
                self._add_option(table, option, value)
        if node.flags:
            table["flags"] = list(node.flags)
        if config := self._config():
            table["buildkitd"] = config
        return table

    def _warn(self, text: str) -> None:
        self.warnings.append(f"{self._builder}: node {one_line(self._node.name)}: {text}")

    def _endpoint(self) -> dict[str, Any]:
        """Return the endpoint, unless mpbake finds it itself: the engine in use, or the cluster in use."""
        rules, endpoint = self._driver.rules.endpoint, self._node.endpoint
        scheme, is_url, _ = endpoint.partition("://")
        if not rules.schemes:
            self._check_cluster(endpoint)
            return {}
        if is_url and scheme not in rules.schemes:
            raise _NotDeclarable(f"mpbake does not support its endpoint {one_line(endpoint)}")
        if scheme == "unix" and rules.is_engine and self._place.is_in_use(endpoint):
            return {}
        is_open = scheme == "tcp" and has_host(endpoint) and not is_loopback(endpoint) and not self._tls()
        if is_open:
            self._warn(f"{one_line(endpoint)} has no TLS (insecure = true): everyone who reaches the port controls it")
        return {"endpoint": endpoint, **({"insecure": True} if is_open else {})}

    def _check_cluster(self, endpoint: str) -> None:
        """Check that the name of a Deployment is the name of its node, and warn about another configuration."""
        values = dict(parse_qsl(endpoint.partition("?")[2]))
        deployment = values.get("deployment", "")
        if deployment not in {"", self._node.name}:
            raise _NotDeclarable(f"its Deployment {one_line(deployment)} is not named after its node")
        if values.get("kubeconfig", "") not in {"", self._place.kubeconfig}:
            self._warn(
                f"buildx uses the cluster of {one_line(values['kubeconfig'])}, and mpbake the cluster of your "
                "KUBECONFIG: check that they are the same"
            )

    def _is_tls(self, option: str) -> bool:
        return self._driver.rules.endpoint.takes_servername and option in _TLS_KEYS

    def _tls(self) -> dict[str, str]:
        named = {option: value for option, value in self._node.options if self._is_tls(option)}
        return {
            key: self._place.path(named[option]) if option in CERTIFICATE_OPTIONS else named[option]
            for option, key in _TLS_KEYS.items()
            if named.get(option)
        }

    def _add_option(self, table: dict[str, Any], option: str, text: str) -> None:
        """Add a driver option to the table in the form of a plan, or warn."""
        head, _, rest = option.partition(".")
        known = OPTIONS.get(head)
        if known is None or self._driver not in known.drivers or not known.to_driver:
            self._warn(f"a plan cannot set the driver option {one_line(option)}, so it is left out")
            return
        if option.startswith(_ENVIRONMENT):
            if credentials_in(text):
                self._warn(f"{one_line(option)} holds a password, which the plan would store: remove it there")
            table.setdefault("env", {})[rest] = text
            return
        value = _plan_value(option, text, known.form)
        if value is None:
            self._warn(f"a plan cannot set the driver option {one_line(option)}={one_line(text)}, so it is left out")
            return
        *tables, last = option.split(".")
        for name in tables:
            table = table.setdefault(name, {})
        table[last] = value

    def _config(self) -> dict[str, Any]:
        """Return the configuration of buildkitd. Its certificates become files beside the plan."""
        config = self._node.files.get(CONFIG_FILE)
        copies = {name: data for name, data in self._node.files.items() if name != CONFIG_FILE}
        if config is None:
            return {}
        try:
            table = parse_toml(config.decode(), CONFIG_FILE)
        except (UnicodeDecodeError, PlanError):
            raise _NotDeclarable(f"the buildkitd.toml of its node {one_line(self._node.name)} is not TOML") from None
        folder = f"{self._builder}-{_COPIES}"
        paths = {f"{CONFIG_FOLDER}/{name}": f"{folder}/{name.removeprefix('certs/')}" for name in copies}
        used = set(scalars_in(table))
        for name, data in copies.items():
            inside = f"{CONFIG_FOLDER}/{name}"
            if inside in used:
                self._add_file(paths[inside], data)
        return dict(with_other_texts(table, paths))

    def _add_file(self, path: str, data: bytes) -> None:
        if ".." in path.split("/") or self.files.get(path, data) != data:
            raise _NotDeclarable(f"buildx's store has an unusable file {one_line(path)}")
        self.files[path] = data


def _plan_value(option: str, text: str, form: OptionForm) -> Any:
    """Return the value of a driver option in a plan; None if a plan cannot hold it."""
    if form is not OptionForm.PLAIN:
        rows = [_pairs(row) for row in text.split(";")] if form is OptionForm.ROWS else [_pairs(text)]
        values = [row for row in rows if row is not None]
        if len(values) < len(rows):
            return None
        return values if form is OptionForm.ROWS else values[0]
    try:
        default = option_default(option)
    except KeyError:
        return None
    if default is False:
        return {"true": True, "false": False}.get(text)
    return int(text) if default is None and text.isdecimal() else text


def _pairs(text: str) -> dict[str, str] | None:
    """Return the pairs in a driver option, such as `name=value,name=value`; None if a part is no pair."""
    parts = [part.partition("=") for part in text.split(",") if part]
    return {name.strip(): value.strip() for name, _, value in parts} if all(equals for _, equals, _ in parts) else None


# --- the text ---------------------------------------------------------------------------------------------------------


def builders_text(builders: Sequence[ImportedBuilder]) -> str:
    """Return the text of a plan file that declares `builders`, which another plan can include."""
    return "version = 1\n" + "".join(f"\n{_builder_text(builder)}" for builder in builders)


def _builder_text(builder: ImportedBuilder) -> str:
    key = f"builders.{toml_key(builder.name)}"
    parts = [_table_text(key, builder.table)]
    for name, node in builder.table.get("nodes", {}).items():
        parts.append(_table_text(f"{key}.nodes.{toml_key(name)}", node))
    return "\n".join(parts)


def _table_text(key: str, table: Mapping[str, Any]) -> str:
    """Return a table and its configuration of buildkitd, which has headers of its own. Other tables are inline."""
    lines = [f"[{key}]"]
    lines += [f"{toml_key(name)} = {toml_value(value)}" for name, value in table.items() if name not in _OWN_HEADERS]
    text = "\n".join(lines) + "\n"
    config = table.get(_BUILDKITD)
    return f"{text}\n{_config_text(f'{key}.{_BUILDKITD}', config)}" if config else text


def _config_text(key: str, config: Mapping[str, Any]) -> str:
    """Return the table of a configuration of buildkitd, with a blank line before each header."""
    document = toml_document(config)
    lines = document.splitlines()
    plain = [f"[{key}]"] if lines and not lines[0].startswith("[") else []
    text: list[str] = plain
    for line in lines:
        header = re.match(r"(\[+)(.*)", line)
        text += [*([""] if text else []), f"{header[1]}{key}.{header[2]}"] if header else [line]
    return "\n".join(text) + "\n"


_BUILDKITD = "buildkitd"
_OWN_HEADERS = (_BUILDKITD, "nodes")
