"""The progress of a node's start, from the output of docker and buildx."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from mpbake.buildkit.nodes.first_start import BootProgress, NodeStart, PullProgress
from mpbake.model.plan import Driver, Node

NODE = Node(builder="ci", name="local", driver=Driver.DOCKER_CONTAINER, boot_timeout=60.0)


def drawn(*lines: str) -> bytes:
    """Return lines about layers, redrawn as docker redraws them on a terminal."""
    return "".join(f"\x1b[1A\x1b[2K\r{line}\r\x1b[1B" for line in lines).encode()


def pulled(*chunks: bytes) -> list[str]:
    output: list[str] = []
    progress = PullProgress("moby/buildkit:v1", output.append)
    progress.start()
    for chunk in chunks:
        progress.feed(chunk)
    return output


def test_one_layer() -> None:
    assert pulled(
        b"v1: Pulling from moby/buildkit\r\n\r\n",
        drawn("9db0c266a1c0: Pulling fs layer "),
        drawn("9db0c266a1c0: Downloading  2.097MB/251.3MB"),
        drawn("9db0c266a1c0: Downloading  2.097MB/251.3MB"),
        drawn("9db0c266a1c0: Downloading [=====>      ]    231MB/251.3MB"),
        drawn("9db0c266a1c0: Verifying Checksum ", "9db0c266a1c0: Download complete "),
        drawn("9db0c266a1c0: Extracting  557.1kB/251.3MB"),
        drawn("9db0c266a1c0: Pull complete "),
        b"Digest: sha256:2590f95e61ea9529\r\nStatus: Downloaded newer image for moby/buildkit:v1\r\n",
    ) == [
        "pulling moby/buildkit:v1",
        "pulling moby/buildkit:v1: 0.0 MB, 0 of 1 layers",
        "pulling moby/buildkit:v1: 2.1 MB of 251.3 MB",
        "pulling moby/buildkit:v1: 231.0 MB of 251.3 MB",
        "unpacking moby/buildkit:v1",
    ]


def test_several_layers_whose_sizes_become_known_one_after_the_other() -> None:
    assert pulled(
        drawn("aaaaaaaaaaaa: Already exists ", "bbbbbbbbbbbb: Pulling fs layer ", "cccccccccccc: Waiting "),
        drawn("bbbbbbbbbbbb: Downloading  500kB/1.5GB"),
        drawn("cccccccccccc: Downloading  10B/100MB"),
        drawn("cccccccccccc: Download complete "),
    )[1:] == [
        "pulling moby/buildkit:v1: 0.0 MB, 1 of 3 layers",
        "pulling moby/buildkit:v1: 0.5 MB, 1 of 3 layers",
        "pulling moby/buildkit:v1: 0.5 MB of 1.60 GB",
        "pulling moby/buildkit:v1: 100.5 MB of 1.60 GB",
    ]


def test_bytes_come_in_any_pieces() -> None:
    lines = drawn("9db0c266a1c0: Downloading  2.097MB/251.3MB", "9db0c266a1c0: Downloading  4MB/251.3MB")
    output = pulled(*(lines[index : index + 1] for index in range(len(lines))))
    assert output[1:] == [
        "pulling moby/buildkit:v1: 2.1 MB of 251.3 MB",
        "pulling moby/buildkit:v1: 4.0 MB of 251.3 MB",
    ]


def test_words_that_nobody_knows_are_no_progress() -> None:
    output = pulled(b"\xff\x00 nonsense\r\n", drawn("abc: Downloading 1MB/2MB", "9db0c266a1c0: Doing 1 of 2"))
    assert output == ["pulling moby/buildkit:v1", "pulling moby/buildkit:v1: 0.0 MB, 0 of 1 layers"]


def test_what_buildx_does_to_start_a_node() -> None:
    output: list[str] = []
    progress = BootProgress(output.append)
    lines = (
        b"#0 building\n#1 [internal] booting buildkit\n#1 pulling image m/b:1\n#1 pulling im",
        b"age m/b:1 3.2s done\n#1 creating container c\n#1 creating container c\n",
        b"#1 0.512 could not lock\n#1 waiting for 1 pods to be ready, timeout: 2 minutes\n",
        b"#1 creating container c 0.5s done\n#1 ERROR: exit code 1\n#1 DONE 31.2s\nERROR: exit code 1\n",
    )
    for chunk in lines:
        progress.feed(chunk)
    assert output == ["building", "pulling image m/b:1", "creating container c", "waiting for 1 pods to be ready"]
    assert progress.step == output[-1]
    assert progress.text == b"".join(lines).decode()


@pytest.mark.parametrize(("timeout", "least", "most", "over"), [(60.0, 50.0, 60.0, False), (0.0, 1.0, 1.0, True)])
def test_a_start_has_the_boot_timeout_of_its_node(timeout: float, least: float, most: float, *, over: bool) -> None:
    boot = NodeStart.of(replace(NODE, boot_timeout=timeout))
    time.sleep(0.001)
    assert least <= boot.seconds <= most
    assert boot.is_over is over
