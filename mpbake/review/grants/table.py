"""The table of rights: each row is one way in which a plan uses this machine beyond an ordinary build. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mpbake.model.grants import GrantKind
from mpbake.model.plan import DEPLOYED_IMAGE
from mpbake.review.grants import attributes as uses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mpbake.model.plan import Builder, Node
    from mpbake.review.grants.attributes import Attributes, Use

_ROOTLESS = f"{DEPLOYED_IMAGE}-rootless"
_ORDINARY_NETWORKS = ("", "bridge", "default")
_OPTION_OF_ENV = "env."
_OPTIONS_OF_IMAGES = ("image", "qemu.image")


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetRow:
    """A use by targets. `find` yields the uses in a target's attributes, each with the attribute.

    `about` is the description in the documentation.
    """

    kind: GrantKind
    about: str
    find: Callable[[Attributes], Iterator[Use]]


@dataclass(frozen=True, kw_only=True, slots=True)
class BuilderRow:
    """A use by builders. `find` yields the values of the uses; of a right without a value, empty values.

    With `only_up`, only `mpbake builders up` does it, and no run. With `named_in_file`, each value is the path of a
    configuration, and the uses are of the files that this configuration names.
    """

    kind: GrantKind
    about: str
    find: Callable[[Builder], Iterator[str]]
    only_up: bool = False
    named_in_file: bool = False


def _privilege(attributes: Attributes, kind: GrantKind) -> Iterator[Use]:
    """Yield the privileges of a kind. A privilege that mpbake does not know is of the kind PRIVILEGE."""
    for name, privilege in uses.privileges(attributes):
        known, _, value = privilege.partition("=")
        if known == kind:
            yield name, value if kind.has_value else ""
        elif kind is GrantKind.PRIVILEGE and known not in _KNOWN_PRIVILEGES:
            yield name, privilege


_KNOWN_PRIVILEGES = (GrantKind.INSECURE, GrantKind.DEVICE, GrantKind.HOST_NETWORK)


def _own_nodes(builder: Builder) -> tuple[Node, ...]:
    """Return the nodes of a builder that the plan describes; none for an external builder."""
    return () if builder.external else builder.nodes


def _made_nodes(builder: Builder) -> Iterator[Node]:
    """Yield the nodes that a run creates if they are missing, and those that may become such nodes."""
    return (node for node in _own_nodes(builder) if node.deploy is None)


def _deployed_nodes(builder: Builder) -> Iterator[Node]:
    return (node for node in _own_nodes(builder) if node.deploy is not None)


def _certificates(builder: Builder) -> Iterator[str]:
    return (str(path) for node in _own_nodes(builder) for path in node.tls.files.values())


def _server_certificates(builder: Builder) -> Iterator[str]:
    files = (node.deploy.tls.files.values() for node in _own_nodes(builder) if node.deploy)
    return (str(path) for paths in files for path in paths)


def _configurations(builder: Builder) -> Iterator[str]:
    return (str(node.config_file) for node in _made_nodes(builder) if node.config_file)


def _configured_files(nodes: Callable[[Builder], Iterator[Node]], builder: Builder) -> Iterator[str]:
    return (str(path) for node in nodes(builder) for path in node.config_names)


def _images(builder: Builder) -> Iterator[str]:
    """Yield the images of nodes, except the image that buildx uses by default."""
    for node in _made_nodes(builder):
        yield from (value for name, value in node.options if name in _OPTIONS_OF_IMAGES and value != DEPLOYED_IMAGE)


def _deployed_images(builder: Builder) -> Iterator[str]:
    images = (node.deploy.image for node in _own_nodes(builder) if node.deploy)
    return (image for image in images if image not in {DEPLOYED_IMAGE, _ROOTLESS})


def _emulators(builder: Builder) -> Iterator[str]:
    if builder.emulators:
        yield builder.emulators


def _flags(builder: Builder) -> Iterator[str]:
    return (builder.name for node in _made_nodes(builder) if node.flags)


def _variables(builder: Builder) -> Iterator[str]:
    nodes = _made_nodes(builder)
    return (builder.name for node in nodes if any(name.startswith(_OPTION_OF_ENV) for name, _ in node.options))


def _configured(nodes: Callable[[Builder], Iterator[Node]], builder: Builder) -> Iterator[str]:
    return (builder.name for node in nodes(builder) if node.config or node.config_file)


def _networks(builder: Builder) -> Iterator[str]:
    options = (option for node in _made_nodes(builder) for option in node.options)
    return (value for name, value in options if name == "network" and value not in _ORDINARY_NETWORKS)


def _endpoints(builder: Builder) -> Iterator[str]:
    """Yield the endpoints of nodes, except the engine in use and a BuildKit behind TLS."""
    for node in _own_nodes(builder):
        if node.deploy:
            yield node.deploy.host
        rules = node.driver.rules.endpoint
        endpoint = node.endpoint or rules.url_when_empty(node)
        is_remote_tls = not rules.is_engine and endpoint.startswith("tcp://") and bool(node.tls.files)
        if endpoint and not is_remote_tls:
            yield endpoint


def _external(builder: Builder) -> Iterator[str]:
    if builder.external:
        yield builder.name


GRANT_ROWS: tuple[TargetRow | BuilderRow, ...] = (
    TargetRow(
        kind=GrantKind.INSECURE,
        about='`entitlements = ["security.insecure"]`: RUN steps with all privileges on the machine of the node',
        find=partial(_privilege, kind=GrantKind.INSECURE),
    ),
    TargetRow(
        kind=GrantKind.PRIVILEGE,
        about="a privilege in `entitlements` that mpbake does not know",
        find=partial(_privilege, kind=GrantKind.PRIVILEGE),
    ),
    TargetRow(
        kind=GrantKind.DEVICE,
        about="a device for RUN steps in `entitlements`; `device` without a name is every device",
        find=partial(_privilege, kind=GrantKind.DEVICE),
    ),
    TargetRow(
        kind=GrantKind.HOST_NETWORK,
        about='`network = "host"` or the entitlement `network.host`: RUN steps in the network of the node\'s machine',
        find=partial(_privilege, kind=GrantKind.HOST_NETWORK),
    ),
    TargetRow(
        kind=GrantKind.WRITE,
        about="a destination of `output` or `cache-to` outside of the plan's folder, in `.git` or `.mpbake`, or over a "
        "file of the plan",
        find=uses.written_paths,
    ),
    TargetRow(
        kind=GrantKind.READ,
        about="a file or folder outside of the plan's folder, also through a symlink: contexts, Dockerfiles, secrets, "
        "ssh keys, local caches, OCI layouts, policies",
        find=uses.read_paths,
    ),
    BuilderRow(
        kind=GrantKind.READ,
        about="a certificate or key of a node outside of the plan's folder",
        find=_certificates,
    ),
    BuilderRow(
        kind=GrantKind.READ,
        about="a configuration of buildkitd outside of the plan's folder",
        find=_configurations,
    ),
    BuilderRow(
        kind=GrantKind.READ,
        about="a certificate or key outside of the plan's folder that `buildkitd` names",
        find=partial(_configured_files, _made_nodes),
    ),
    BuilderRow(
        kind=GrantKind.READ,
        about="a certificate or key outside of the plan's folder that the file `config` names",
        find=_configurations,
        named_in_file=True,
    ),
    BuilderRow(
        kind=GrantKind.READ,
        about="a file outside of the plan's folder that `builders up` copies into a deployed BuildKit",
        find=_server_certificates,
        only_up=True,
    ),
    BuilderRow(
        kind=GrantKind.READ,
        about="a certificate or key outside of the plan's folder that `deploy.buildkitd` names",
        find=partial(_configured_files, _deployed_nodes),
        only_up=True,
    ),
    TargetRow(
        kind=GrantKind.VARIABLE,
        about="a secret from the environment: `env=NAME`, or an entry with only an id",
        find=uses.secret_variables,
    ),
    TargetRow(
        kind=GrantKind.SSH,
        about="the ssh agent: `ssh` without a key file, or a context that git fetches over ssh",
        find=uses.agents,
    ),
    BuilderRow(
        kind=GrantKind.EMULATORS,
        about='`emulators = "install"`: `builders up` runs this image with all privileges on the machines of the nodes',
        find=_emulators,
        only_up=True,
    ),
    BuilderRow(
        kind=GrantKind.BUILDER_IMAGE,
        about=f"`image` of a builder or node other than {DEPLOYED_IMAGE}; `qemu.image`",
        find=_images,
    ),
    BuilderRow(
        kind=GrantKind.BUILDER_IMAGE,
        about="`deploy.image` of a node, which `builders up` starts with all privileges",
        find=_deployed_images,
        only_up=True,
    ),
    BuilderRow(kind=GrantKind.BUILDER_FLAGS, about="`flags` of buildkitd", find=_flags),
    BuilderRow(
        kind=GrantKind.BUILDER_CONFIG,
        about="`buildkitd` or `config` of a builder or node",
        find=partial(_configured, _made_nodes),
    ),
    BuilderRow(
        kind=GrantKind.BUILDER_CONFIG,
        about="`deploy.buildkitd` of a node, with which `builders up` starts BuildKit",
        find=partial(_configured, _deployed_nodes),
        only_up=True,
    ),
    BuilderRow(
        kind=GrantKind.BUILDER_ENV,
        about="`env` of a builder or node: `PATH` decides which programs BuildKit starts",
        find=_variables,
    ),
    BuilderRow(
        kind=GrantKind.BUILDER_NETWORK,
        about="`network` of a node's container other than `bridge`, such as `host`",
        find=_networks,
    ),
    BuilderRow(
        kind=GrantKind.ENDPOINT,
        about="a node outside of the engine in use, except a `remote` BuildKit behind TLS: ssh, docker contexts, "
        "sockets, tcp without TLS, containers, pods, clusters; `deploy.host`",
        find=_endpoints,
    ),
    TargetRow(
        kind=GrantKind.ENDPOINT,
        about="`context` of an output with `type=docker`: the engine that gets the image",
        find=uses.engines,
    ),
    BuilderRow(kind=GrantKind.EXTERNAL, about="`external`: an existing buildx builder of this machine", find=_external),
)
"""Every way in which a plan uses this machine beyond an ordinary build, the most dangerous first."""
