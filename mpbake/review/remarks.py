"""Remarks on a plan document: everything that a reviewer should look at before anything else. Pure.

A remark is about something that most plans do not do: a right on this machine, a secret, a privilege, a path outside of
the plan's folder, a builder with its own image or flags. An ordinary plan has no remarks.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.base.references import parse_fields
from mpbake.model.bake_fields import Paths, deletes, paths_of, secret_source
from mpbake.model.grants import GrantKind
from mpbake.model.plan import DEPLOYED_IMAGE
from mpbake.spec.tables.target_tables import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mpbake.review.document.plan_document import Document

ORDINARY_IMAGES = (DEPLOYED_IMAGE, f"{DEPLOYED_IMAGE}-rootless")
"""The images of BuildKit that need no remark."""
_ORDINARY_NETWORKS = ("", "bridge", "default")
_VARIABLE = "env."
_OUTSIDE = " (outside of the plan's folder)"
_INSECURE_FIELD = "registry.insecure"
_FALSE = ("false", "0", "f")


@dataclass(frozen=True, kw_only=True, slots=True)
class Remark:
    """A remark: its kind, such as `secret`, what it says, and the targets, nodes or builders that it is about.

    `grant` is the grant that says the same, if the plan needs one: then the remark is left out.
    """

    kind: str
    text: str
    subjects: tuple[str, ...]
    grant: str = ""


def remarks_on(document: Document) -> tuple[Remark, ...]:
    """Return the remarks on a plan document: the needed grants, then targets, then builders. Equal remarks are joined.

    The texts are not yet safe to print.
    """
    grants = {grant["allow"] for grant in document["grants"]}
    every_remark = [*_on_grants(document), *_on_targets(document), *_on_builders(document)]
    joined: dict[tuple[str, str], dict[str, None]] = {}
    for remark in every_remark:
        if remark.grant not in grants:
            joined.setdefault((remark.kind, remark.text), {}).update(dict.fromkeys(remark.subjects))
    return tuple(Remark(kind=kind, text=text, subjects=tuple(subjects)) for (kind, text), subjects in joined.items())


def _on_grants(document: Document) -> Iterator[Remark]:
    for grant in document["grants"]:
        yield Remark(kind="right", text=grant["allow"], subjects=tuple(grant["users"]))


def variants_of(target: Document) -> list[Document]:
    """Return the values of a target that can differ between platforms: those of each platform, or the common ones."""
    return list(target["variants"].values()) or [target]


# --- targets ----------------------------------------------------------------------------------------------------------


def _on_targets(document: Document) -> list[Remark]:
    """Return the remarks on targets, sorted by kind, so that all secrets are together."""
    remarks = [remark for target in document["targets"] for remark in _on_target(target)]
    kinds = list(dict.fromkeys(_TARGET_KINDS))
    return sorted(remarks, key=lambda remark: kinds.index(remark.kind))


_TARGET_KINDS = ("secret", "ssh", "privilege", "network", "read", "write", "delete", "insecure")


def _on_target(target: Document) -> Iterator[Remark]:
    own = (target["name"],)
    for variant in variants_of(target):
        yield from _on_attributes(variant["attributes"], own)
        yield from _outside_paths("contexts", variant["contexts"], own)
        dockerfile = variant["dockerfile"]["path"]
        context = str(variant["attributes"].get("context", "."))
        if is_outside(dockerfile) and not is_outside(context):
            yield _path_remark("dockerfile", dockerfile, own)
    for output in target["outputs"]:
        yield from _outside_paths("output", [output], own)
        if deletes(output):
            yield Remark(kind="delete", text=f"other files in the folder of output {output}", subjects=own)
    fields = [*map(_fields, target["outputs"]), target["push_options"]]
    if any(options.get(_INSECURE_FIELD, "false").lower() not in _FALSE for options in fields):
        yield Remark(kind="insecure", text="pushes without verified TLS", subjects=own)


def _fields(output: str) -> dict[str, str]:
    return parse_fields(output) if "=" in output else {}


def _on_attributes(attributes: Document, own: tuple[str, ...]) -> Iterator[Remark]:
    for secret in attributes.get("secret", ()):
        yield Remark(kind="secret", text=_secret(secret), subjects=own)
    for entry in attributes.get("ssh", ()):
        yield Remark(kind="ssh", text=_ssh(entry), subjects=own)
    for privilege in attributes.get("entitlements", ()):
        yield Remark(kind="privilege", text=privilege, subjects=own, grant=privilege)
    if attributes.get("network") == "host":
        grant = str(GrantKind.HOST_NETWORK)
        yield Remark(kind="network", text="RUN steps use the network of the host", subjects=own, grant=grant)
    for name, value in attributes.items():
        if name not in {"secret", "ssh"}:
            yield from _outside_paths(name, value, own)


def _secret(entry: str) -> str:
    """Return the id of a secret and its source. mpbake reads no other field, and an entry never contains a value."""
    fields, source = parse_fields(entry), secret_source(entry)
    if source.or_file:
        return f"{fields.get('id', '')} from the environment variable {source.variable}, or from the file of this name"
    if source.variable:
        return f"{fields.get('id', '')} from the environment variable {source.variable}"
    return f"{fields.get('id', '')} from the file {fields.get('src') or fields.get('source', '')}"


def _ssh(entry: str) -> str:
    name, _, files = entry.partition("=")
    return f"{name} from the file {files}" if files else f"{name} from the ssh agent"


def _outside_paths(name: str, value: Any, own: tuple[str, ...]) -> Iterator[Remark]:
    """Yield a remark for each local path in the value of an attribute that is outside of the plan's folder."""
    paths = ATTRIBUTES[name].paths if name in ATTRIBUTES else Paths.NONE
    for _, path in paths_of(paths, value):
        if is_outside(path):
            yield _path_remark(name, path, own)


def _path_remark(name: str, path: str, own: tuple[str, ...]) -> Remark:
    is_written = name in {"output", "cache-to"}
    kind, grant = ("write", GrantKind.WRITE) if is_written else ("read", GrantKind.READ)
    return Remark(kind=kind, text=f"{name} {path}{_OUTSIDE}", subjects=own, grant=f"{grant}={path}")


def is_outside(path: str) -> bool:
    """Whether a path, relative to the plan's folder, leads out of this folder as written, without its symlinks."""
    normal = posixpath.normpath(path)
    return normal.startswith(("/", "~")) or normal.split("/", 1)[0] == ".."


# --- builders ---------------------------------------------------------------------------------------------------------


def _on_builders(document: Document) -> Iterator[Remark]:
    for builder in document["builders"]:
        if builder["external"]:
            grant = f"{GrantKind.EXTERNAL}={builder['name']}"
            yield Remark(
                kind="external", text="an existing builder of buildx", subjects=(builder["name"],), grant=grant
            )
            continue
        for node in builder["nodes"]:
            yield from _on_node(node)
        if builder["emulators"]:
            text = f"`mpbake builders up` installs emulators from {builder['emulators']}, as root of the node's machine"
            yield Remark(kind="emulators", text=text, subjects=(builder["name"],))


def _on_node(node: Document) -> Iterator[Remark]:
    own = (node["id"],)
    for name, value in node["options"].items():
        yield from _on_option(name, value, own)
    for flag in node["flags"]:
        yield Remark(kind="flag", text=flag, subjects=own)
    if node["config"] or node["config_file"]:
        text = f"buildkitd.toml from {node['config_file']}" if node["config_file"] else _lines_of(node["config"])
        yield Remark(kind="config", text=text, subjects=own)
    if node["insecure"] and not any(_tls_paths(node["tls"])):
        yield Remark(kind="insecure", text=f"{node['endpoint']} without TLS", subjects=own)
    for path in (*_tls_paths(node["tls"]), *_tls_paths(node["deploy"].get("tls", {}))):
        if is_outside(path):
            yield _path_remark("tls", path, own)
    if node["deploy"]:
        yield from _on_deployment(node["deploy"], own)


def _on_option(name: str, value: str, own: tuple[str, ...]) -> Iterator[Remark]:
    """Yield the remark on an option of a driver. Resource limits, such as `memory`, need no remark."""
    if name in {"image", "qemu.image"} and value not in ORDINARY_IMAGES:
        yield Remark(kind="image", text=value, subjects=own, grant=f"{GrantKind.BUILDER_IMAGE}={value}")
    if name == "network" and value not in _ORDINARY_NETWORKS:
        grant = f"{GrantKind.BUILDER_NETWORK}={value}"
        yield Remark(kind="network", text=f"the node is in the network {value}", subjects=own, grant=grant)
    if name.startswith(_VARIABLE):
        yield Remark(kind="env", text=f"{name.removeprefix(_VARIABLE)}={value}", subjects=own)


def _lines_of(config: str) -> str:
    lines = (line.strip() for line in config.splitlines())
    return f"buildkitd.toml of the plan: {'; '.join(line for line in lines if line)}"


def _tls_paths(tls: Mapping[str, str]) -> Iterable[str]:
    return (path for name, path in tls.items() if name != "servername")


def _on_deployment(deploy: Document, own: tuple[str, ...]) -> Iterator[Remark]:
    text = f"`mpbake builders up` starts the container {deploy['container']} on {deploy['host']}"
    yield Remark(kind="deploy", text=text, subjects=own)
    if deploy["image"] not in ORDINARY_IMAGES:
        image = deploy["image"]
        yield Remark(kind="image", text=image, subjects=own, grant=f"{GrantKind.BUILDER_IMAGE}={image}")
