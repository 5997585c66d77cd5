"""The plan that `mpbake init` writes for the Dockerfiles of a project. Pure."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from string import Template
from types import MappingProxyType
from typing import TYPE_CHECKING

from mpbake.base.references import is_local_context
from mpbake.base.toml_text import toml_value

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import PurePosixPath

SCHEMA = "build.schema.json"
"""The name of the schema file beside the plan. Users commit this file: taplo reports an error if it is missing."""

_DOCKERFILE = re.compile(
    r"(?P<before>.+)\.(?i:dockerfile|containerfile)|(?:Dockerfile|Containerfile)(?:\.(?P<after>.+))?"
)
_NO_DOCKERFILES = frozenset(
    {"bak", "dockerignore", "erb", "in", "j2", "jinja2", "md", "old", "orig", "rego", "rej", "swp", "tmpl", "template"}
)
"""Extensions after `Dockerfile.` of files that are not Dockerfiles: companions, backups and templates."""
_THIRD_PARTY = frozenset({"__pycache__", "node_modules", "site-packages", "vendor", "venv"})
"""Folders with third-party files."""
_PLAIN_NAME = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
_LONGEST_NAME = 60
_WIDTH = 80
"""The line length at which the formatters of taplo and tombi fold lists."""
_GROUP = "default"
"""The group of all targets. No target can have this name."""

_HEAD = Template("""\
#:schema ./$schema
# Editors use the line above to complete and check this file. To update the schema: mpbake schema > $schema
#
# `mpbake init` wrote this plan as a start: change it as you like. `mpbake plan` shows what `mpbake run` will do.

version = 1

[variables]
# The registry for the images: replace it with your own.
registry = $registry
tag = { default = "dev", env = "TAG", description = "image tag" }

# By default, your own Docker engine builds every platform. It emulates the platforms that it cannot run natively: this
# is slow, and requires QEMU. To build each platform on a native machine, name your machines here, and uncomment these
# lines and `builder` below.
#
# [builders.native.nodes.amd64]
# endpoint = "ssh://you@intel.example.com"
# platforms = ["linux/amd64"]
#
# [builders.native.nodes.arm64]
# endpoint = "ssh://you@arm.example.com"
# platforms = ["linux/arm64"]

[groups]
$group

# Attributes that all images share.
[targets._image]
platforms = ["linux/amd64", "linux/arm64"]
# builder = "native"
# With `push`, every run publishes the images. Without it, use `mpbake run --push` to publish them, or
# `mpbake run --load` to load them into your engine.
# push = true

# The context of each target is the folder of its Dockerfile. If a Dockerfile copies files from a folder above it, set
# for example context = "." and dockerfile = "web/Dockerfile". The path of a Dockerfile is relative to the context.
""")
_LINKS = """\
# If an image is built FROM another image of this plan, add contexts = { NAME = "target:TARGET" } to its target. NAME is
# the name after FROM in its Dockerfile.
"""


def is_dockerfile(name: str) -> bool:
    """Return whether a file is a Dockerfile by its name: `Dockerfile.web`, `web.Dockerfile`, `Containerfile`."""
    match = _DOCKERFILE.fullmatch(name)
    after = match["after"] or "" if match else ""
    return match is not None and _is_usable(name) and after.rpartition(".")[2] not in _NO_DOCKERFILES


def is_searched(name: str) -> bool:
    """Return whether mpbake searches a folder of this name for Dockerfiles."""
    return _is_usable(name) and name not in _THIRD_PARTY


def _is_usable(name: str) -> bool:
    """Return whether a name is not hidden, and can be written in a plan."""
    return not name.startswith(".") and name.isprintable()


def starter_text(
    project: str, targets: Mapping[str, PurePosixPath], links: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> str:
    """Return the plan of a project with a target for each Dockerfile. Paths are relative to the folder of the project.

    `links` maps each target to the targets that its Dockerfile builds from.
    """
    registry = "localhost:5000" if len(targets) == 1 else f"localhost:5000/{_fit(project)}"
    head = _HEAD.substitute(schema=SCHEMA, registry=toml_value(registry), group=_list(_GROUP, list(targets)))
    tables = "\n".join(_target(name, path, links.get(name, ())) for name, path in targets.items())
    return f"{head}{_LINKS if len(targets) > 1 else ''}\n{tables}"


def target_names(project: str, dockerfiles: Sequence[PurePosixPath]) -> dict[str, PurePosixPath]:
    """Return the Dockerfiles by target names. The names are also valid as names of repositories.

    The name of a target comes from the folder of its Dockerfile, or from the name of the file. If two targets would
    have the same name, their names come from the whole paths.
    """
    short = [_name(project, path, whole=False) for path in dockerfiles]
    uses = Counter(short)
    names: dict[str, PurePosixPath] = {}
    for path, name in zip(dockerfiles, short, strict=True):
        wanted = name if uses[name] == 1 else _name(project, path, whole=True)
        names[_unused(wanted, {*names, _GROUP})] = path
    return names


def _name(project: str, path: PurePosixPath, *, whole: bool) -> str:
    """Return the name of a Dockerfile's target: from the `whole` path, or from the last folder and the file name."""
    match = _DOCKERFILE.fullmatch(path.name)
    before, after = (match["before"], match["after"]) if match else ("", "")
    folders = path.parent.parts if whole else path.parent.parts[-1:]
    words = [before] if before and not whole else [*folders, before or after or ""]
    return _fit("-".join(words) or project)


def _fit(text: str) -> str:
    """Return `text` with the characters that are valid in every name."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    return "-".join(_PLAIN_NAME.findall(plain))[-_LONGEST_NAME:].strip("-_") or "image"


def _unused(name: str, taken: Collection[str]) -> str:
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(candidate for candidate in names if candidate not in taken)


def links_among(images: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return, for each target, the targets that its Dockerfile builds from, without cycles.

    `images` maps each target to the names of all images that its Dockerfile builds from.
    """
    links: dict[str, list[str]] = {name: [] for name in images}
    for name, bases in images.items():
        for base in bases:
            if base in links and name not in _reachable(base, links):
                links[name].append(base)
    return links


def _reachable(name: str, links: Mapping[str, Sequence[str]]) -> set[str]:
    """Return `name` and the names of all directly or indirectly linked targets."""
    reachable, pending = {name}, [name]
    while pending:
        new = {*links[pending.pop()]} - reachable
        reachable |= new
        pending += new
    return reachable


def _target(name: str, path: PurePosixPath, links: Sequence[str]) -> str:
    lines = [f"[targets.{name}]", 'inherits = ["_image"]', f"context = {_path(str(path.parent))}"]
    if path.name != "Dockerfile":
        lines.append(f"dockerfile = {_path(path.name)}")
    if links:
        lines.append(f"contexts = {toml_value({base: f'target:{base}' for base in links})}")
    lines.append(_list("tags", [f"{{{{ registry }}}}/{name}:{{{{ tag }}}}"]))
    return "\n".join(lines) + "\n"


def _path(path: str) -> str:
    """Return a path as a TOML string that mpbake takes neither for a URL nor for a template."""
    local = path if is_local_context(path) else f"./{path}"
    return toml_value(re.sub(r"\{(?=[{%#])", "{{ '{' }}", local))


def _list(key: str, values: Sequence[str]) -> str:
    """Return a key with a list as TOML, on one line if the line is short enough."""
    line = f"{key} = {toml_value(values)}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{key} = [", *(f"  {toml_value(value)}," for value in values), "]"])
