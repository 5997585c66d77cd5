"""The uses of this machine by the attributes of a target: paths, secrets, the ssh agent and privileges. Pure.

The attributes come from a plan or from a bake definition, under bake's names. `use` is a pair: the attribute, and the
path, variable or privilege that it names. A relative path starts at the plan's folder.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from mpbake.base.references import is_local_context, parse_fields, split_fields
from mpbake.model.bake_fields import PathAccess, Paths, paths_of, secret_source
from mpbake.model.grants import GrantKind
from mpbake.spec.tables.target_tables import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Use = tuple[str, str]
    Attributes = Mapping[str, Any]

_DOCKERFILE = "Dockerfile"
_WORKING_FOLDER = "cwd://"
"""buildx's prefix of paths that start in the folder of the bake call, which is the plan's folder."""
_LAYOUT = "oci-layout://"
_LINK = "target:"
_SSH_URLS = ("git@", "ssh://")
_ENGINE_OUTPUT = "docker"


def read_paths(attributes: Attributes) -> Iterator[Use]:
    """Yield the paths in attributes from which a build reads."""
    yield from _declared_paths(attributes, PathAccess.NEEDS, PathAccess.READS)
    yield from _paths_in_urls(attributes)
    yield from _dockerfile(attributes)
    yield from _policies(attributes)
    yield from secret_files(attributes)


def written_paths(attributes: Attributes) -> Iterator[Use]:
    """Yield the paths in attributes to which a build writes."""
    yield from _declared_paths(attributes, PathAccess.WRITES)


def _declared_paths(attributes: Attributes, *accesses: PathAccess) -> Iterator[Use]:
    for name, value in attributes.items():
        if name in ATTRIBUTES and ATTRIBUTES[name].access in accesses:
            yield from ((name, path) for _, path in paths_of(ATTRIBUTES[name].paths, value))


def _paths_in_urls(attributes: Attributes) -> Iterator[Use]:
    """Yield the paths in contexts that look remote, as `_folders` returns them."""
    for name, context in contexts(attributes):
        if not context.startswith(_LINK) and not is_local_context(context):
            yield from ((name, folder) for folder in _folders(context))


def _folders(context: str) -> tuple[str, ...]:
    """Return the folders that buildx may read for a context.

    buildx takes every context that it does not know to be remote for a folder. So a context such as `git@x/../../etc`
    counts as a path, too, and so does `oci-layout://a:/../../etc`, which is an OCI layout only as a named context. A
    real URL has no `..` that leaves the plan's folder, so it needs no right.
    """
    folder = context.removeprefix(_WORKING_FOLDER)
    if not context.startswith(_LAYOUT):
        return (folder,)
    return folder, context.removeprefix(_LAYOUT).partition("@")[0].partition(":")[0]


def _dockerfile(attributes: Attributes) -> Iterator[Use]:
    if "dockerfile-inline" not in attributes:
        paths = _beside_context(attributes, str(attributes.get("dockerfile", _DOCKERFILE)))
        yield from (("dockerfile", path) for path in paths)


def _policies(attributes: Attributes) -> Iterator[Use]:
    fields = (field.partition("=") for entry in attributes.get("policy", ()) for field in split_fields(entry))
    for name, _, value in fields:  # `filename` may occur several times
        if name.strip().lower() == "filename":
            yield from (("policy", path) for path in _beside_context(attributes, value))


def _beside_context(attributes: Attributes, name: str) -> tuple[str, ...]:
    """Return the paths that a file may have which an attribute names relative to the context."""
    if name.startswith(_WORKING_FOLDER):
        return (name.removeprefix(_WORKING_FOLDER),)
    folders = _folders(str(attributes.get("context", ""))) if name else ()
    return tuple(posixpath.join(folder, name) for folder in folders)


def contexts(attributes: Attributes) -> Iterator[Use]:
    """Yield the context and the named contexts, each with its attribute."""
    for name, value in attributes.items():
        if name in ATTRIBUTES and ATTRIBUTES[name].paths is Paths.CONTEXT:
            values: Iterable[Any] = value.values() if isinstance(value, dict) else (value,)
            yield from ((name, str(context)) for context in values)


def secret_variables(attributes: Attributes) -> Iterator[Use]:
    """Yield the environment variables that builds get as secrets. An entry with only an id may name a variable."""
    sources = map(secret_source, attributes.get("secret", ()))
    yield from (("secret", source.variable) for source in sources if source.variable)


def secret_files(attributes: Attributes) -> Iterator[Use]:
    """Yield the files of secrets with only an id: buildx reads the file of this name if no variable has the name."""
    sources = map(secret_source, attributes.get("secret", ()))
    yield from (("secret", source.variable) for source in sources if source.or_file)


def agents(attributes: Attributes) -> Iterator[Use]:
    """Yield the uses of the ssh agent: entries of `ssh` without a file, and contexts that git fetches over ssh."""
    yield from (("ssh", "") for entry in attributes.get("ssh", ()) if not paths_of(Paths.SSH, [entry]))
    yield from ((name, "") for name, context in contexts(attributes) if context.lower().startswith(_SSH_URLS))


def privileges(attributes: Attributes) -> Iterator[Use]:
    """Yield the privileges of RUN steps. `network = "host"` also counts as a privilege."""
    yield from (("entitlements", str(privilege)) for privilege in attributes.get("entitlements", ()))
    if attributes.get("network") == "host":
        yield "network", str(GrantKind.HOST_NETWORK)


def engines(attributes: Attributes) -> Iterator[Use]:
    """Yield the docker contexts into whose engines outputs load an image."""
    for entry in attributes.get("output", ()):
        fields = parse_fields(entry)
        if fields.get("type") == _ENGINE_OUTPUT and fields.get("context"):
            yield "output", fields["context"]
