"""A first plan for the Dockerfiles of a project: what `mpbake init` writes. Pure."""

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
"""The schema lies beside the plan, to be committed with it: a line that names a missing file is an error to taplo."""

_DOCKERFILE = re.compile(
    r"(?P<before>.+)\.(?i:dockerfile|containerfile)|(?:Dockerfile|Containerfile)(?:\.(?P<after>.+))?"
)
_NO_DOCKERFILES = frozenset(
    {"bak", "dockerignore", "erb", "in", "j2", "jinja2", "md", "old", "orig", "rego", "rej", "swp", "tmpl", "template"}
)
"""What stands after `Dockerfile.` where the file belongs to a Dockerfile, was one, or is yet to become one."""
_OF_OTHERS = frozenset({"__pycache__", "node_modules", "site-packages", "vendor", "venv"})
"""Folders that hold what others wrote."""
_PLAIN = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
_LONGEST_NAME = 60
_WIDTH = 80
"""At which the formatters of taplo and tombi fold lists."""
_GROUP = "default"
"""The group of all targets; none of them can be called so."""

_HEAD = Template("""\
#:schema ./$schema
# The line above lets editors complete and check this file. To renew the schema: mpbake schema > $schema
#
# A start, made by `mpbake init`, yours to change. `mpbake plan` prints what a run would do, `mpbake run` does it.

version = 1

[variables]
# Where images go: put your registry here.
registry = $registry
tag = { default = "dev", env = "TAG", description = "image tag" }

# As it stands, your own engine builds every platform; what it does not run natively it emulates, slowly, if QEMU is
# there. To have each built by a machine that runs it natively, name your machines here and uncomment these lines, and
# `builder` below.
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

# What all images have in common.
[targets._image]
platforms = ["linux/amd64", "linux/arm64"]
# builder = "native"
# Publishes with every run; without it only mpbake run --push does. mpbake run --load puts the images into your engine.
# push = true

# The context is the Dockerfile's own folder. A Dockerfile that copies files from further up wants, for example,
# context = "." and dockerfile = "web/Dockerfile", which counts from the context.
""")
_LINKS = """\
# One that is built FROM another of these images wants contexts = { NAME = "target:TARGET" }, where NAME is what its
# Dockerfile says after FROM.
"""


def is_dockerfile(name: str) -> bool:
    """Whether a file of this name is one: `Dockerfile`, `Dockerfile.web`, `web.Dockerfile`, `Containerfile`."""
    found = _DOCKERFILE.fullmatch(name)
    after = found["after"] or "" if found else ""
    return found is not None and _is_ours(name) and after.rpartition(".")[2] not in _NO_DOCKERFILES


def is_searched(name: str) -> bool:
    """Whether a folder of this name may hold Dockerfiles of the project."""
    return _is_ours(name) and name not in _OF_OTHERS


def _is_ours(name: str) -> bool:
    """Neither hidden nor impossible to write down."""
    return not name.startswith(".") and name.isprintable()


def starter_text(
    project: str, targets: Mapping[str, PurePosixPath], links: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> str:
    """The plan of a project, with a target for each Dockerfile; their paths count from the project's folder.

    `links` are the other targets from which some are built.
    """
    registry = "localhost:5000" if len(targets) == 1 else f"localhost:5000/{_fit(project)}"
    head = _HEAD.substitute(schema=SCHEMA, registry=toml_value(registry), group=_list(_GROUP, list(targets)))
    tables = "\n".join(_target(name, path, links.get(name, ())) for name, path in targets.items())
    return f"{head}{_LINKS if len(targets) > 1 else ''}\n{tables}"


def target_names(project: str, dockerfiles: Sequence[PurePosixPath]) -> dict[str, PurePosixPath]:
    """The Dockerfiles under names that are fit for a target and for a repository.

    A target is called after the folder of its Dockerfile, or as the file's own name says; where two would be called
    alike, after their whole paths.
    """
    short = [_name(project, path, whole=False) for path in dockerfiles]
    often = Counter(short)
    names: dict[str, PurePosixPath] = {}
    for path, name in zip(dockerfiles, short, strict=True):
        wanted = name if often[name] == 1 else _name(project, path, whole=True)
        names[_unused(wanted, {*names, _GROUP})] = path
    return names


def _name(project: str, path: PurePosixPath, *, whole: bool) -> str:
    """What a Dockerfile is called: after the `whole` of its path, or after as much as mostly tells it from others."""
    found = _DOCKERFILE.fullmatch(path.name)
    before, after = (found["before"], found["after"]) if found else ("", "")
    folders = path.parent.parts if whole else path.parent.parts[-1:]
    words = [before] if before and not whole else [*folders, before or after or ""]
    return _fit("-".join(words) or project)


def _fit(text: str) -> str:
    """`text` in the letters that every name may have."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    return "-".join(_PLAIN.findall(plain))[-_LONGEST_NAME:].strip("-_") or "image"


def _unused(name: str, taken: Collection[str]) -> str:
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(each for each in names if each not in taken)


def links_among(images: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The targets that each is built from, given all that its Dockerfile is built from; never in a circle."""
    found: dict[str, list[str]] = {name: [] for name in images}
    for name, names in images.items():
        for other in names:
            if other in found and name not in _reached(other, found):
                found[name].append(other)
    return found


def _reached(name: str, links: Mapping[str, Sequence[str]]) -> set[str]:
    """`name`, and all that it links to, however far."""
    found, left = {name}, [name]
    while left:
        more = {*links[left.pop()]} - found
        found |= more
        left += more
    return found


def _target(name: str, path: PurePosixPath, links: Sequence[str]) -> str:
    lines = [f"[targets.{name}]", 'inherits = ["_image"]', f"context = {_path(str(path.parent))}"]
    if path.name != "Dockerfile":
        lines.append(f"dockerfile = {_path(path.name)}")
    if links:
        lines.append(f"contexts = {toml_value({each: f'target:{each}' for each in links})}")
    lines.append(_list("tags", [f"{{{{ registry }}}}/{name}:{{{{ tag }}}}"]))
    return "\n".join(lines) + "\n"


def _path(path: str) -> str:
    """A path as a plan must say it: neither taken for a URL nor for a template."""
    local = path if is_local_context(path) else f"./{path}"
    return toml_value(re.sub(r"\{(?=[{%#])", "{{ '{' }}", local))


def _list(key: str, values: Sequence[str]) -> str:
    """A key with a list, on one line where there is room for it."""
    line = f"{key} = {toml_value(values)}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{key} = [", *(f"  {toml_value(each)}," for each in values), "]"])
