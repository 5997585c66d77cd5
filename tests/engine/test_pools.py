"""Equal nodes share the work, and build the pieces of a lost node."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.nodes import Node
    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, RunMpbake

pytestmark = pytest.mark.one_release

SLEEPING = "RUN echo working; sleep 8"


def pool_plan(testbed: Testbed, nodes: dict[str, Node], targets: str, more: str = "") -> str:
    """Return a plan with targets on equal nodes, all for linux/amd64."""
    certs = testbed.certificates
    tls = f'tls = {{ ca = "{certs}/ca.crt", cert = "{certs}/client.crt", key = "{certs}/client.key" }}'
    tables = "\n".join(
        f'[builders.pool.nodes.{name}]\nendpoint = "{node.endpoint}"\nplatforms = ["linux/amd64"]\n{tls}\n{more}'
        for name, node in nodes.items()
    )
    return f'version = 1\n[builders.pool]\ndriver = "remote"\nslots = 1\n{tables}\n{targets}'


def target(name: str, testbed: Testbed, *lines: str) -> str:
    dockerfile = "\n".join([f"FROM {testbed.env()['BASE_IMAGE']}", f"RUN echo {name}-{time.time()}", *lines])
    return f"""
[targets.{name}]
builder = "pool"
dockerfile-inline = '''
{dockerfile}
'''
platforms = ["linux/amd64"]
stall-timeout = "8s"
"""


@pytest.fixture
def nodes(testbed: Testbed, unique: str) -> Iterator[dict[str, Node]]:
    """Yield two equal nodes with separate BuildKits.

    With one BuildKit, cancelling a build on `a` would cancel its retry on `b`.
    """
    beside = {"a": "", "b": "linux/arm64"}
    nodes = {name: testbed.add_node(f"{name}-{unique[-6:]}", beside=other) for name, other in beside.items()}
    yield nodes
    for node in nodes.values():
        node.resume()
        node.stop()


class Running:
    """A running mpbake, and its output so far."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self._output = folder / "output"
        self._table = folder / "table"
        command = [sys.executable, "-m", "mpbake", "run", "*"]
        with self._output.open("w") as output, self._table.open("w") as table:
            env = {**env, "PYTHONPATH": str(CHECKOUT)}
            self._process = subprocess.Popen(command, cwd=folder, env=env, stdout=table, stderr=output)

    @property
    def errors(self) -> str:
        return self._output.read_text()

    def until(self, words: str, times: int = 1) -> str:
        """Wait until `times` lines contain `words`, and return the first of them."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            lines = [line for line in self.errors.splitlines() if words in line]
            if len(lines) >= times:
                return lines[0]
            time.sleep(0.05)
        pytest.fail(f"it never said {words!r}:\n{self.errors}")

    def end(self) -> tuple[int, str]:
        """Wait until mpbake ends, and return its exit code and its table."""
        return self._process.wait(timeout=120), self._table.read_text()


def test_equal_nodes_share_the_work(
    testbed: Testbed, run_mpbake: RunMpbake, nodes: dict[str, Node], tmp_path: Path
) -> None:
    targets = "".join(target(f"w{number}", testbed, "RUN sleep 1") for number in range(4))
    (tmp_path / "build.toml").write_text(pool_plan(testbed, nodes, targets))
    completed = run_mpbake(["run", "*"])
    assert completed.returncode == 0, completed.stderr
    assert {name: len(node.builds()) for name, node in nodes.items()} == {"a": 2, "b": 2}
    for number in range(4):
        (row,) = [line for line in completed.stdout.splitlines() if line.startswith(f"w{number} ")]
        (line,) = [line for line in completed.stderr.splitlines() if f"build w{number} " in line and "done in" in line]
        assert row.split()[-1] in line, "the table names the node that built it"


def test_node_that_is_dead_at_the_start_is_left_out(
    testbed: Testbed, run_mpbake: RunMpbake, nodes: dict[str, Node], tmp_path: Path
) -> None:
    nodes["a"].stop()
    targets = "".join(target(f"w{number}", testbed) for number in range(3))
    (tmp_path / "build.toml").write_text(pool_plan(testbed, nodes, targets))
    completed = run_mpbake(["run", "*"])
    assert completed.returncode == 0, completed.stderr
    assert "warning: pool/a is not used for now: node pool/a does not answer at " in completed.stderr
    assert len(nodes["b"].builds()) == 3


def test_node_that_declares_nothing_and_is_dead_at_the_start_is_left_out(
    testbed: Testbed, run_mpbake: RunMpbake, nodes: dict[str, Node], tmp_path: Path
) -> None:
    """No node runs the platform natively, so the other node emulates it, and mpbake reports that."""
    nodes["a"].stop()
    plan = pool_plan(testbed, nodes, target("web", testbed)).replace('platforms = ["linux/amd64"]\ntls', "tls")
    (tmp_path / "build.toml").write_text(plan.replace("linux/amd64", "linux/arm64"))
    forbidding = plan.replace("slots = 1", "slots = 1\nemulation = 'forbid'").replace("linux/amd64", "linux/arm64")
    completed = run_mpbake(["run", "*"])
    assert completed.returncode == 0, completed.stderr
    assert "warning: pool/a is not used: node pool/a does not answer at " in completed.stderr
    assert "warning: web: linux/arm64 emulated on pool/b: 5 to 10 times slower than native" in completed.stderr
    assert len(nodes["b"].builds()) == 1
    plain = run_mpbake(["plan", "web", "--probe"])
    assert "linux/arm64 EMULATED on pool/b" in re.sub(" +", " ", plain.stdout)
    assert "warning: pool/a cannot be asked: node pool/a does not answer at " in plain.stdout
    (tmp_path / "build.toml").write_text(forbidding)
    completed = run_mpbake(["run", "*"])
    assert completed.returncode == 5, "it may be the native one, which alone is allowed to build it"
    assert "error: bootstrap pool/a: node pool/a does not answer at " in completed.stderr
    (tmp_path / "build.toml").write_text(plan.replace("tls =", "required = true\ntls =", 1))
    completed = run_mpbake(["run", "*"])
    assert completed.returncode == 5, completed.stderr
    assert "error: node pool/a does not answer at " in completed.stderr
    assert "\nnode pool/a has `required = true`, so mpbake does not retry\n" in completed.stderr


def test_required_node_that_is_dead_is_an_error(
    testbed: Testbed, run_mpbake: RunMpbake, nodes: dict[str, Node], tmp_path: Path
) -> None:
    nodes["a"].stop()
    (tmp_path / "build.toml").write_text(pool_plan(testbed, nodes, target("w", testbed), "required = true"))
    completed = run_mpbake(["run", "*"])
    assert completed.returncode == 5, completed.stderr
    assert "error: bootstrap pool/a: node pool/a does not answer at " in completed.stderr
    assert "\nnode pool/a has `required = true`, so mpbake does not retry\n" in completed.stderr


@pytest.mark.parametrize("end", ["cut", "frozen"])
def test_node_that_goes_away_during_a_build(
    end: str, testbed: Testbed, testbed_env: dict[str, str], nodes: dict[str, Node], tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(pool_plan(testbed, nodes, target("web", testbed, SLEEPING)))
    running = Running(testbed_env, tmp_path)
    running.until("sleep 8")
    first = next(name for name in nodes if f"on pool/{name}" in running.until("build web linux/amd64 on"))
    other = next(name for name in nodes if name != first)
    if end == "cut":
        nodes[first].stop()
    else:
        nodes[first].pause()
    code, table = running.end()
    assert code == 0, running.errors
    assert f"warning: build web linux/amd64 on pool/{first}: " in running.errors
    assert f"build web linux/amd64 on pool/{other}: done in" in running.errors
    assert f"pool/{other}" in table
    assert len(nodes[other].builds()) == 1


def test_a_node_that_was_cut_off_gives_no_tag_later(
    testbed: Testbed, testbed_env: dict[str, str], run_mpbake: RunMpbake, nodes: dict[str, Node], tmp_path: Path
) -> None:
    """The lost node still builds, but another node has published the same result in the meantime."""
    repository = f"late-{nodes['a'].name}"
    more = f'tags = ["{testbed.registry.host}/{repository}:1"]\npush = true\n'
    web = target("web", testbed, "RUN sleep 10; cat /proc/sys/kernel/random/uuid > /id").replace('"8s"', '"4s"') + more
    plan = pool_plan(testbed, nodes, web)
    (tmp_path / "build.toml").write_text(plan)
    first = "a" if "a  declares it  chosen" in run_mpbake(["plan", "--explain", "web"]).stdout else "b"
    nodes[first].stop()
    assert run_mpbake(["run", "*"]).returncode == 0
    nodes[first].start()
    running = Running(testbed_env, tmp_path)
    running.until("sleep 10")
    nodes[first].pause()
    code, _ = running.end()
    assert code == 0, running.errors
    assert f"warning: build web linux/amd64 on pool/{first}: " in running.errors
    tag = testbed.registry.client.manifest(f"{repository}:1")
    time.sleep(12)
    assert testbed.registry.client.manifest(f"{repository}:1") == tag
    assert run_mpbake(["verify", "web"]).returncode == 0


def test_frozen_node_delays_nobody_else(
    testbed: Testbed, testbed_env: dict[str, str], nodes: dict[str, Node], tmp_path: Path
) -> None:
    targets = "".join(target(f"w{number}", testbed, "RUN echo working; sleep 3") for number in range(4))
    (tmp_path / "build.toml").write_text(pool_plan(testbed, nodes, targets.replace('"8s"', '"30s"')))
    running = Running(testbed_env, tmp_path)
    running.until("sleep 3")
    nodes["a"].pause()
    running.until("on pool/b: done in", times=3)
    nodes["a"].resume()
    code, _ = running.end()
    assert code == 0, running.errors


def test_container_that_is_killed_during_a_build(
    testbed: Testbed, testbed_env: dict[str, str], docker: Docker, unique: str, tmp_path: Path
) -> None:
    builder = f"p{unique[-6:]}"
    docker("context", "create", unique, "--docker", f"host={testbed.engine.host}")
    (tmp_path / "build.toml").write_text(
        f"""
version = 1
[builders.{builder}]
driver = "docker-container"
image = "{testbed.node_image()}"
network = "host"
[builders.{builder}.nodes.a]
platforms = ["linux/amd64"]
[builders.{builder}.nodes.b]
endpoint = "{unique}"
platforms = ["linux/amd64"]
"""
        + target("web", testbed, SLEEPING).replace('"pool"', f'"{builder}"')
    )
    try:
        running = Running(testbed_env, tmp_path)
        running.until("sleep 8")
        first = next(name for name in "ab" if f"on {builder}/{name}" in running.until("build web linux/amd64 on"))
        docker("kill", f"buildx_buildkit_{builder}-{first}")
        code, table = running.end()
        assert code == 0, running.errors
        assert f"{builder}/{'b' if first == 'a' else 'a'}" in table
    finally:
        for name in "ab":
            docker("rm", "--force", "--volumes", f"buildx_buildkit_{builder}-{name}")
        docker("context", "rm", unique)


def test_call_that_fails_costs_only_the_target_at_fault(
    testbed: Testbed, run_mpbake: RunMpbake, nodes: dict[str, Node], repository: str, tmp_path: Path
) -> None:
    """The last builds of four targets on one node were short. Now one of the targets fails."""
    head = f"FROM {testbed.env()['BASE_IMAGE']}\nARG NAME\n"
    targets = "".join(
        f"""
[targets.{name}]
builder = "pool"
args = {{ NAME = "{name}" }}
platforms = ["linux/amd64"]
tags = ["{repository}:{name}"]
push = true
"""
        for name in "abcd"
    )
    # with `slots`, each piece would take a slot, and the pieces would not share a call
    plan = pool_plan(testbed, {"a": nodes["a"]}, targets).replace("slots = 1\n", "")
    (tmp_path / "build.toml").write_text(plan)
    (tmp_path / "Dockerfile").write_text(f"{head}RUN echo $NAME\n")
    for _ in range(2):
        assert run_mpbake(["run", "*"]).returncode == 0
    assert len({build.connection for build in nodes["a"].builds()[-4:]}) == 1, "they shared a call"
    nodes["a"].forget()
    (tmp_path / "Dockerfile").write_text(f"{head}RUN [ $NAME != c ] || exit 3\n")

    completed = run_mpbake(["run", "*"])

    assert completed.returncode == 1, completed.stderr
    assert "4 targets: 3 done, 1 failed" in completed.stdout
    pieces = r"warning: build [abd] linux/amd64 on pool/a and 2 others: "
    assert len(re.findall(pieces + "another target of the same batch failed: c: retrying", completed.stderr)) == 1
    assert "error: build c linux/amd64 on pool/a: " in completed.stderr
    assert "exit code: 3" in completed.stderr
    # BuildKit may reuse results of the cancelled builds and fail. Then mpbake repeats the call, which has one target or
    # more, with a warning that names them.
    lost = "BuildKit lost the result of another build: mpbake builds again without the cache"
    repeated = [name for names in re.findall(f"warning: (.+): {lost}", completed.stderr) for name in names.split(", ")]
    builds = len(nodes["a"].builds())
    assert builds == 7 + len(repeated), f"four in a call, three again, and {repeated}:\n{completed.stderr}"


LINKED = """
[targets.base]
builder = "pool"
context = "base"
platforms = ["linux/amd64"]
MORE
[targets.app]
builder = "pool"
matrix = { n = ["1", "2", "3"] }
name = "app{{ n }}"
platforms = ["linux/amd64"]
contexts = { base = "target:base" }
dockerfile-inline = "FROM base\\nRUN test -e /made && echo {{ n }}\\n"
tags = ["REPOSITORY:app{{ n }}"]
push = true
"""


@pytest.mark.parametrize("own", [True, False])
def test_base_and_those_that_link_to_it_share_a_call(
    testbed: Testbed, run_mpbake: RunMpbake, nodes: dict[str, Node], repository: str, tmp_path: Path, *, own: bool
) -> None:
    """This also holds if the base itself is pushed.

    If the base fails, only the base is failed, and the others are skipped.
    """
    more = f'tags = ["{repository}:base"]\npush = true' if own else ""
    plan = LINKED.replace("MORE", more).replace("REPOSITORY", repository)
    (tmp_path / "build.toml").write_text(pool_plan(testbed, {"a": nodes["a"]}, plan).replace("slots = 1\n", ""))
    (tmp_path / "base").mkdir()
    dockerfile = tmp_path / "base" / "Dockerfile"
    dockerfile.write_text(f"FROM {testbed.env()['BASE_IMAGE']}\nRUN echo {repository} > /made\n")
    names = ["base", "app*"] if own else ["app*"]

    completed = run_mpbake(["run", *names])

    assert completed.returncode == 0, completed.stderr
    assert f"{3 + own} targets: {3 + own} done" in completed.stdout
    assert len({build.connection for build in nodes["a"].builds()}) == 1, "one call"
    assert run_mpbake(["verify", *names]).returncode == 0

    dockerfile.write_text(f"FROM {testbed.env()['BASE_IMAGE']}\nRUN echo {repository}; exit 3\n")
    completed = run_mpbake(["run", *names])
    assert completed.returncode == 1, completed.stderr
    assert completed.stderr.count("exit code: 3") == 1, completed.stderr
    assert "error: build base linux/amd64 on pool/a: " in completed.stderr
    assert f"{3 + own} targets: {'0 done, 1 failed, 3 skipped' if own else '0 done, 3 skipped'}" in completed.stdout


def most_processes(command: list[str], env: dict[str, str], folder: Path) -> tuple[int, str]:
    """Run a command. Return the highest number of docker processes at a time, with plugins, and the output."""
    most = 0
    with (
        subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process,
        ThreadPoolExecutor(max_workers=1) as beside,
    ):
        output = beside.submit(process.communicate, timeout=240)
        while not output.done():
            most = max(most, len(docker_processes(process.pid)))
            time.sleep(0.02)
    assert process.returncode == 0, output.result()[0].decode()
    return most, output.result()[0].decode()


def docker_processes(ancestor: int) -> list[int]:
    """Return the docker processes among the descendants of a process, read from /proc."""
    parents, names = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            head, _, rest = path.read_text().rpartition(")")
            number = int(path.parent.name)
            parents[number], names[number] = int(rest.split()[1]), head.partition("(")[2]
    return [pid for pid, name in names.items() if name.startswith("docker") and is_below(pid, ancestor, parents)]


def is_below(number: int, ancestor: int, parents: dict[int, int]) -> bool:
    while number in parents and number != ancestor:
        number = parents[number]
    return number == ancestor


@pytest.mark.parametrize("kind", [pytest.param("the engine's own builder", marks=pytest.mark.long), "two nodes"])
def test_many_targets_need_few_processes_at_a_time(
    kind: str, testbed: Testbed, testbed_env: dict[str, str], nodes: dict[str, Node], repository: str, tmp_path: Path
) -> None:
    """Calls of bake with that many targets sometimes fail. So mpbake makes calls of twenty targets."""
    count = 70
    targets = f"""
[targets.t]
matrix = {{ n = {list(range(count))} }}
name = "t{{{{ n }}}}"
dockerfile-inline = "FROM scratch\\nCOPY build.toml /{{{{ n }}}}\\n"
platforms = ["linux/amd64"]
tags = ["{repository}:{{{{ n }}}}"]
push = true
"""
    plan = f"version = 1\n{targets}"
    if kind == "two nodes":
        plan = pool_plan(testbed, nodes, f'{targets}builder = "pool"\n').replace("slots = 1\n", "")
    (tmp_path / "build.toml").write_text(plan)
    env = {**testbed_env, "PYTHONPATH": str(CHECKOUT), "XDG_STATE_HOME": str(tmp_path / "state")}
    most, output = most_processes([sys.executable, "-m", "mpbake", "run", "*"], env, tmp_path)
    assert f"{count} targets: {count} done" in output
    assert most <= 16, output
