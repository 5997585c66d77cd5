"""The commands `make demo` and `make demo-clean`: `mpbake run release` on real nodes, on one machine.

The demo uses the testbed of the engine tests: an engine, a registry, QEMU, and two BuildKit nodes behind mutual TLS.
The testbed is in `.demo/` and stays up between runs. `--clean` stops it and restores the machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import TestbedError
from testbed.registry_client import platforms_of
from testbed.testbed import Testbed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHECKOUT = Path(__file__).resolve().parent.parent
PLANS = ("quickstart", "native")
_LABEL = "label=org.opencontainers.image.source=https://example.com/quickstart"
SHOWN = ("quickstart/app:1", "native/worker:1.0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Demo:
    """The demo in a checkout. The folder of its testbed is `.demo/`."""

    bed: Testbed

    def show(self) -> int:
        """Start missing parts, run both plans, and print the results. Return the exit code."""
        began = time.monotonic()
        self.bed.up()
        print(f"== an engine, a registry, two nodes: ready in {time.monotonic() - began:.1f} s")
        self._note_containers()
        for plan in PLANS:
            for command in ("plan", "run"):
                code = self._mpbake(command, "release", "-C", f"plans/{plan}")
                if code:
                    return code
        for image in SHOWN:
            self._show_image(image)
        print("\n== `make demo` again is quick; `make demo-clean` ends it all")
        return 0

    def clean(self) -> None:
        """Stop the testbed. Remove what mpbake left in an engine that the demo did not start."""
        if self._containers_file.exists() and not self.bed.engine.own:
            self._clean_foreign_engine()
        self.bed.down()
        for plan in PLANS:
            shutil.rmtree(CHECKOUT / "plans" / plan / ".mpbake", ignore_errors=True)

    def _mpbake(self, *words: str) -> int:
        print(f"\n$ mpbake {' '.join(words)}", flush=True)
        return subprocess.run(
            [sys.executable, "-m", "mpbake", *words], cwd=CHECKOUT, env=self._env, check=False
        ).returncode

    def _show_image(self, name: str) -> None:
        """Print the platforms of the image in the registry, and the output of a container for each."""
        reference = f"{self.bed.registry.host}/{name}"
        digest, index = self.bed.registry.client.manifest(reference)
        print(f"\n== {reference} is {digest}")
        for platform in platforms_of(index):
            machine = self._docker("run", "--rm", "--platform", platform, f"{reference}@{digest}", "uname", "-m")
            print(f"   {platform:12} uname -m: {machine}")

    def _docker(self, *words: str) -> str:
        completed = subprocess.run(["docker", *words], env=self._env, capture_output=True, text=True, check=False)
        if completed.returncode:
            raise TestbedError(f"docker {' '.join(words)}: {completed.stderr.strip()}")
        return completed.stdout.strip()

    @property
    def _env(self) -> dict[str, str]:
        return {**os.environ, **self.bed.env()}

    # --- an engine that the demo did not start
    # ----------------------------------------------------------------------------

    @property
    def _containers_file(self) -> Path:
        return self.bed.place.root / "containers-before"

    def _note_containers(self) -> None:
        if not self._containers_file.exists():
            self._containers_file.write_text("\n".join(self._builder_containers()))

    def _builder_containers(self) -> list[str]:
        return self._docker("ps", "--all", "--filter", "name=buildx_buildkit_", "--format", "{{.Names}}").split()

    def _clean_foreign_engine(self) -> None:
        before = self._containers_file.read_text().split()
        for container in self._builder_containers():
            if container not in before:
                self._docker("rm", "--force", "--volumes", container)
                self._docker("volume", "rm", "--force", f"{container}_state")
        for image in self._demo_images():
            self._docker("image", "rm", "--force", image)

    def _demo_images(self) -> Iterator[str]:
        """Yield images of the engine's builder: those of the demo's registry, and untagged ones of the demo's plans."""
        listed = self._docker("image", "ls", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}")
        for line in listed.splitlines():
            repository, tag, digest = line.split()
            if repository.startswith(f"{self.bed.registry.host}/"):
                yield f"{repository}@{digest}" if tag == "<none>" else f"{repository}:{tag}"
        yield from self._docker("image", "ls", "--quiet", "--filter", "dangling=true", "--filter", _LABEL).split()


def main(words: Sequence[str]) -> int:
    """Run the demo, or undo it with `--clean`. If something is missing, print a message without a traceback."""
    demo = Demo(bed=Testbed(CHECKOUT / ".demo"))
    try:
        if "--clean" in words:
            demo.clean()
            return 0
        return demo.show()
    except (TestbedError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
