"""The parts that all benchmarks on real nodes use: a testbed, mpbake and bake as whole processes, and medians."""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT / "scripts"))

from testbed.nodes import Upstream, unix_node  # noqa: E402 - the testbed is not an installed package
from testbed.testbed import Testbed  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from testbed.nodes import Node
    from testbed.testbed import Extra

Done = TypeVar("Done")
_TRIES = 5


class Failed(SystemExit):
    """The failure of a measured command. It ends the benchmark unless the caller handles it."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The environment of a benchmark: a folder for its plan, a testbed, and the image of its nodes."""

    folder: Path
    bed: Testbed
    env: Mapping[str, str]
    image: str

    def with_buildx(self, buildx: Path, config: Path) -> Ground:
        """Return the same environment with another buildx, as a plugin in the docker configuration folder `config`."""
        plugins = config / "cli-plugins"
        plugins.mkdir(parents=True)
        shutil.copy(buildx, plugins / "docker-buildx")
        (plugins / "docker-buildx").chmod(0o755)
        return replace(self, env={**self.env, "DOCKER_CONFIG": str(config)})

    @property
    def embedded(self) -> bool:
        """Whether the nodes are Docker engines with BuildKit inside. These do not support `max-parallelism`."""
        return self.image == self.bed.node_image() and "buildkit:" not in self.image

    def mpbake(self, *arguments: str) -> tuple[float, str]:
        """Run mpbake in the folder. Return its seconds and its standard error."""
        return self._timed([sys.executable, "-m", "mpbake", *arguments], self.env)

    def printed(self, *arguments: str) -> str:
        """Return the output of mpbake in the folder. The benchmark ends if mpbake fails."""
        command = [sys.executable, "-m", "mpbake", *arguments]
        completed = subprocess.run(
            command, cwd=self.folder, env=dict(self.env), capture_output=True, text=True, check=False
        )
        if completed.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{completed.stderr}")
        return completed.stdout

    def bake(self, store: Path, builder: str) -> float:
        """Run bake on a builder of this buildx store, and return its seconds."""
        command = ["docker", "buildx", "--builder", builder, "bake", "-f", "docker-bake.json"]
        return self._timed(command, {**self.env, "BUILDX_CONFIG": str(store)})[0]

    def _timed(self, command: Sequence[str], env: Mapping[str, str]) -> tuple[float, str]:
        began = time.perf_counter()
        completed = subprocess.run(command, cwd=self.folder, env=dict(env), capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
        if completed.returncode:
            raise Failed(f"{' '.join(command)} failed:\n{completed.stdout}{completed.stderr}")
        return seconds, completed.stderr

    def docker(self, *arguments: str) -> str:
        """Run docker, and return its output. Raises Failed."""
        completed = subprocess.run(
            ["docker", *arguments], env=dict(self.env), capture_output=True, text=True, check=False
        )
        if completed.returncode:
            raise Failed(f"docker {' '.join(arguments)} failed:\n{completed.stderr}")
        return completed.stdout.strip()

    def witness(self, container: str, *, poses_as: str) -> Node:
        """Return a remote node in front of the BuildKit in a container. It records the requested builds."""
        command = ("docker", "exec", "-i", container, "buildctl", "dial-stdio")
        node = unix_node(self.bed.place, container, Upstream(command=command, env=self.env), poses_as=poses_as)
        node.start()
        return node


@contextlib.contextmanager
def ground(*extras: Extra) -> Iterator[Ground]:
    """Yield an environment whose new testbed has these extras, by default a node image. Remove it at the end.

    NODE_IMAGE in the environment names another image for the nodes.
    """
    with tempfile.TemporaryDirectory(prefix="mpbench") as temporary:
        bed = Testbed(Path(temporary) / "bed")
        folder = Path(temporary) / "plan"
        folder.mkdir()
        try:
            bed.up(extras or ("node-image",))
            image = os.environ.get("NODE_IMAGE") or bed.node_image()
            # Compile this mpbake once, since an installed mpbake is compiled, too.
            compiled = {"PYTHONPATH": str(CHECKOUT), "PYTHONPYCACHEPREFIX": f"{temporary}/compiled"}
            env = {**os.environ, **bed.env(), **compiled, "MPBAKE_ALLOW": "all"}
            env.pop("PYTHONDONTWRITEBYTECODE", None)
            yield Ground(folder=folder, bed=bed, env=env, image=image)
        finally:
            bed.down()


def with_retries(what: str, do: Callable[[], Done]) -> Done:
    """Return the result of `do`, with retries after failures: bake does not retry if the registry answers 500."""
    for _ in range(_TRIES):
        try:
            return do()
        except Failed:
            print(f"{what} failed, and is tried again", flush=True)
    sys.exit(f"{what} failed {_TRIES} times")


def median(seconds: Sequence[float]) -> float:
    """Return the median, rounded to hundredths."""
    return round(statistics.median(seconds), 2)
