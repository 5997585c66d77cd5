"""The images that builds of the testbed start from. They are made of Debian's packages if possible."""

from __future__ import annotations

import io
import platform
import tarfile
import tempfile
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from testbed.buildkitd import PROGRAMS, named_buildkit, require_buildkit
from testbed.engine import BUILDKIT_IMAGE, is_root_on_linux
from testbed.errors import TestbedError
from testbed.network import ensure_bridge
from testbed.oci import Image, Tree, build_image, push_image, push_index
from testbed.packages import can_fetch, ensure_tools, fetch, tool_path
from testbed.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from testbed.buildkit import Release
    from testbed.engine import Engine
    from testbed.place import Place
    from testbed.registry_client import RegistryClient

_BASE, _NODE, _NAMED_NODE = "base:1", "mpbake-node:1", "mpbake-buildkit:1"
_PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
_PLATFORMS = {"amd64": "linux/amd64", "arm64": "linux/arm64"}
_PULLED_BASE = "busybox:1.37"
_NODE_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "dockerd", "runc")
_NODE_FILES = Path(__file__).parent / "node_image"


def base_packages(place: Place) -> dict[str, Path]:
    """Return Debian's packages of the base image for each architecture, downloaded once. Other systems have none."""
    return fetch(place, "busybox-static", tuple(_PLATFORMS)) if can_fetch(place) else {}


def push_base_image(engine: Engine, registry: RegistryClient, packages: Mapping[str, Path]) -> None:
    """Push `base:1`, a busybox for linux/amd64 and linux/arm64, unless the registry has it."""
    if packages:
        push_busybox(engine.environ, registry, packages)
    elif not registry.has(_BASE):
        copy = ("buildx", "imagetools", "create", "--tag", f"{registry.host}/{_BASE}", _PULLED_BASE)
        engine.docker(*copy, timeout=300)


def push_busybox(environ: Mapping[str, str], registry: RegistryClient, packages: Mapping[str, Path]) -> None:
    """Push `base:1`, made of the packages, unless the registry has it."""
    if not registry.has(_BASE):
        repository, _, tag = _BASE.partition(":")
        push_index(registry, repository, tag, _busybox_images(environ, packages))


def ensure_node_image(place: Place, name: str, registry: RegistryClient) -> None:
    """Build and push the node image of that name, unless it can be pulled."""
    image = name.rpartition("/")[2]
    if name != BUILDKIT_IMAGE and not registry.has(image):
        repository, _, tag = image.partition(":")
        made = _build_named_node_image(place) if image == _NAMED_NODE else _build_node_image(place)
        push_image(registry, repository, tag, made)
        place.note("image", name)  # later buildx pulls the image into the engine


def node_image(engine: Engine, registry: RegistryClient, release: Release = "default") -> str:
    """Return the name of the image from which buildx creates docker-container nodes.

    If MPBAKE_TEST_BUILDKIT names a release, the image holds this release. Otherwise an engine of the testbed gets an
    image of dockerd, which contains the real BuildKit and is available offline. An engine that the testbed did not
    start gets BuildKit's own image, if available.
    """
    if release == "named" or (release == "default" and named_buildkit(engine.environ)):
        return f"{registry.host}/{_NAMED_NODE}"
    if not engine.own and (engine.buildkit or not is_root_on_linux()):
        return BUILDKIT_IMAGE
    return f"{registry.host}/{_NODE}"


def _busybox_images(environ: Mapping[str, str], packages: Mapping[str, Path]) -> list[Image]:
    programs = {name: _busybox(package, environ) for name, package in packages.items()}
    commands = _commands(programs[_architecture()], environ)
    run_part = {"Env": [_PATH], "Cmd": ["sh"]}
    return [
        build_image(_PLATFORMS[name], _busybox_tree(program, commands), run_part, compress=True)
        for name, program in programs.items()
    ]


def _busybox(package: Path, environ: Mapping[str, str]) -> bytes:
    """Return the busybox program in Debian's package."""
    tar = run(("dpkg-deb", "--fsys-tarfile", str(package)), env=environ)
    with tarfile.open(fileobj=io.BytesIO(tar)) as files:
        member = next(entry for entry in files if entry.name.endswith("bin/busybox"))
        opened = files.extractfile(member)
        if opened is None:
            message = f"{package} holds no program"
            raise TestbedError(message)
        return opened.read()


def _commands(busybox: bytes, environ: Mapping[str, str]) -> list[str]:
    """Return the names of the commands of that busybox. The busybox must be a program for this machine."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "busybox"
        program.write_bytes(busybox)
        program.chmod(0o755)
        return run((str(program), "--list"), env=environ).decode().split()


def _busybox_tree(busybox: bytes, commands: Iterable[str]) -> Tree:
    links = {f"bin/{command}": "busybox" for command in commands if command != "busybox"}
    return Tree(
        files={"bin/busybox": busybox, "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n"},
        links=links,
        folders=("bin", "etc", "root", "tmp"),
    )


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _build_node_image(place: Place, more: Mapping[str, bytes] = MappingProxyType({})) -> Image:
    """Build the image of this machine's dockerd, which holds BuildKit, and more."""
    ensure_tools(place, "containerd", "dockerd", "docker-buildx")
    bridge = ensure_bridge(place, "n")
    busybox = _busybox(base_packages(place)[_architecture()], place.environ)
    commands = _commands(busybox, place.environ)
    programs = _node_programs(place)
    ours = {
        path: (_NODE_FILES / Path(path).name).read_bytes().replace(b"@BRIDGE@", bridge.encode())
        for path in ("etc/docker/daemon.json", "usr/bin/buildctl", "usr/bin/buildkitd")
    }
    base = _busybox_tree(busybox, commands)
    tree = Tree(
        files={**base.files, **programs, **ours, **more},
        links={**base.links, "var/run": "/run"},
        folders=(*base.folders, "etc/docker", "run", "usr", "usr/bin", "var", "var/lib"),
    )
    run_part = {"Env": [_PATH], "Entrypoint": ["buildkitd"], "Volumes": {"/var/lib/buildkit": {}}}
    return build_image(f"linux/{_architecture()}", tree, run_part, compress=False)


def build_pod_image(place: Place) -> Image:
    """Build an image of BuildKit for the pods of a cluster: a node image with `pgrep`, which mpbake runs there."""
    ensure_tools(place, "pgrep")
    pgrep = _must_find(place, "pgrep")
    more = _files({pgrep, *_libraries(place, pgrep)})
    return _build_named_node_image(place, more) if named_buildkit(place.environ) else _build_node_image(place, more)


def build_busybox_image(place: Place, command: Sequence[str]) -> Image:
    """Build an image for this machine that runs a command of busybox."""
    busybox = _busybox(base_packages(place)[_architecture()], place.environ)
    tree = _busybox_tree(busybox, _commands(busybox, place.environ))
    return build_image(f"linux/{_architecture()}", tree, {"Env": [_PATH], "Entrypoint": list(command)}, compress=False)


def _build_named_node_image(place: Place, more: Mapping[str, bytes] = MappingProxyType({})) -> Image:
    """Build the image of a BuildKit release: its programs, this machine's runc with libraries, busybox, and more."""
    ensure_tools(place, "runc")
    folder = require_buildkit(place.environ)
    busybox = _busybox(base_packages(place)[_architecture()], place.environ)
    base = _busybox_tree(busybox, _commands(busybox, place.environ))
    runc = _must_find(place, "runc")
    programs = {f"usr/bin/{name}": (folder / name).read_bytes() for name in PROGRAMS}
    programs["usr/bin/buildkit-runc"] = Path(runc).read_bytes()
    tree = Tree(
        files={**base.files, **programs, **_files(_libraries(place, runc)), **more},
        links=base.links,
        folders=(*base.folders, "run", "usr", "usr/bin", "var", "var/lib"),
    )
    run_part = {"Env": [_PATH], "Entrypoint": ["buildkitd"], "Volumes": {"/var/lib/buildkit": {}}}
    return build_image(f"linux/{_architecture()}", tree, run_part, compress=False)


def _node_programs(place: Place) -> dict[str, bytes]:
    """Return the programs of a node and their shared libraries, at the paths where the loader looks."""
    paths = [_must_find(place, name) for name in (*_NODE_PROGRAMS, "docker-buildx")]
    libraries = {library for program in paths for library in _libraries(place, program)}
    programs = {f"usr/bin/{Path(program).name}": Path(program).read_bytes() for program in paths}
    return programs | _files(libraries)


def _files(paths: Iterable[str]) -> dict[str, bytes]:
    """Return files of this machine, for the same paths in an image."""
    return {path.lstrip("/"): Path(path).read_bytes() for path in sorted(paths)}


def _must_find(place: Place, name: str) -> str:
    environ = {key: value for key, value in place.environ.items() if key != "MPBAKE_TEST_BUILDX"}
    if (path := tool_path(name, environ)) is None:
        message = f"The node image needs {name}, which this machine does not have."
        raise TestbedError(message)
    return path


def _libraries(place: Place, program: str) -> set[str]:
    words = run(("ldd", program), env=place.environ).decode().split()
    return {word for word in words if word.startswith("/")}
