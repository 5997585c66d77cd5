"""Results on this machine: loaded images, folders and archives that one or several nodes have built."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from testbed.registry_client import platforms_of

from tests.engine.test_values import _two_nodes

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, RunMpbake

BOTH = ["linux/amd64", "linux/arm64"]


def plan_of(testbed: Testbed, builder: str, name: str, more: str = "", platforms: list[str] = BOTH) -> str:
    """Return a plan with a target of several platforms that is not pushed."""
    return f"""
version = 1
[targets.web]
builder = "{builder}"
dockerfile-inline = '''
FROM {testbed.env()["BASE_IMAGE"]}
RUN uname -m > /machine
'''
platforms = {platforms}
tags = ["{name}:1"]
{more}
[defaults.builder]
image = "{testbed.node_image()}"
network = "host"
[builders.box]
driver = "docker-container"
""" + _two_nodes(testbed)


def machine(docker: Docker, image: str, platform: str = "linux/amd64") -> str:
    here = ("--rm", "--pull=never", "--network=none", "--platform", platform)
    return docker("run", *here, image, "cat", "/machine").strip()


@pytest.mark.parametrize("builder", ["default", "box"])
def test_one_piece_loads_all_its_platforms(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, unique: str, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(plan_of(testbed, builder, unique, "load = true"))

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 0, completed.stderr
    assert [machine(docker, f"{unique}:1", platform) for platform in BOTH] == ["x86_64", "aarch64"]


def test_of_several_pieces_the_engines_own_platform_is_loaded(
    testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, unique: str, tmp_path: Path
) -> None:
    more = "load = true\nno-cache = true"
    (tmp_path / "build.toml").write_text(plan_of(testbed, "two", unique, more))

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 0, completed.stderr
    assert machine(docker, f"{unique}:1") == "x86_64"
    assert "load into the engine in use, if that has this platform" in run_mpbake(["plan", "web"]).stdout


@pytest.mark.parametrize("builder", ["default", "box"])
@pytest.mark.parametrize("more", ["", 'checks = [{ run = ["true"] }]'])
def test_an_archive_has_the_image_under_its_tags_and_no_others(  # noqa: PLR0913, PLR0917 - fixtures
    builder: str, more: str, testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, unique: str, tmp_path: Path
) -> None:
    """This also holds if mpbake first pushes the image without a tag."""
    name = f"{testbed.registry.host}/{unique}"
    outputs = 'push = true\noutput = ["type=docker,dest=d.tar", "type=oci,dest=o.tar"]\n'
    plan = plan_of(testbed, builder, name, outputs + more, BOTH[:1])
    (tmp_path / "build.toml").write_text(plan.replace(f'["{name}:1"]', f'["{name}:1", "{name}/copy:2"]'))
    completed = run_mpbake(["run", "web"])
    assert completed.returncode == 0, completed.stderr
    with tarfile.open(tmp_path / "d.tar") as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        assert json.load(manifest)[0]["RepoTags"] == [f"{name}:1", f"{name}/copy:2"]
    with tarfile.open(tmp_path / "o.tar") as archive:
        index = archive.extractfile("index.json")
        assert index is not None
        names = [entry["annotations"]["io.containerd.image.name"] for entry in json.load(index)["manifests"]]
        assert names == [f"{name}:1", f"{name}/copy:2"]
    assert "mpbake-upload" not in docker("image", "ls")


def test_the_classic_store_gets_one_platform_of_a_piece(
    testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path
) -> None:
    engine = testbed.classic_engine()
    tls = f"tls = {{ ca = '{testbed.certificates}/ca.crt', cert = '{testbed.certificates}/client.crt', "
    tls += f"key = '{testbed.certificates}/client.key' }}"
    node = f'[builders.one.nodes.all]\nendpoint = "{testbed.node("linux-amd64").endpoint}"\n{tls}\n'
    plan = plan_of(testbed, "one", unique, "load = true") + f'[builders.one]\ndriver = "remote"\n{node}'
    (tmp_path / "build.toml").write_text(plan)

    completed = run_mpbake(["run", "web"], env=engine.client)

    assert completed.returncode == 0, completed.stderr
    assert engine.docker("image", "inspect", "--format", "{{.Architecture}}", f"{unique}:1").strip() == "amd64"
    foreign = plan.replace(str(BOTH), '["linux/arm64", "linux/amd64/v2"]')
    (tmp_path / "build.toml").write_text(foreign)
    completed = run_mpbake(["run", "web"], env=engine.client)
    assert completed.returncode == 0, completed.stderr
    assert "warning: web: not loaded, since it is not built for the engine's linux/amd64" in completed.stderr


def read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def layout(path: Path) -> tuple[dict[str, Any], set[str]]:
    """Return the index of an archive, and the digests of its blobs."""
    with tarfile.open(path) as archive:
        top = json.loads(read(archive, "index.json"))
        digest = top["manifests"][0]["digest"]
        index = json.loads(read(archive, f"blobs/{digest.replace(':', '/')}"))
        names = {name.removeprefix("blobs/").replace("/", ":") for name in archive.getnames() if "blobs/" in name}
    return index | {"top": top}, names


def test_archives_of_several_nodes_are_joined(
    testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, unique: str, tmp_path: Path
) -> None:
    more = """
output = ["type=oci,dest=out/web.tar", "type=oci,dest=out/folder,tar=false", "type=local,dest=out/tree"]
annotations = ["index:a=b", "manifest[linux/arm64]:c=d"]
"""
    archives = {}
    for builder in ("box", "two"):
        folder = tmp_path / builder
        (folder / "out").mkdir(parents=True)
        (folder / "build.toml").write_text(plan_of(testbed, builder, unique, more))
        completed = run_mpbake(["run", "web"], cwd=folder)
        assert completed.returncode == 0, completed.stderr
        assert [(folder / f"out/tree/linux_{name}/machine").read_text() for name in ("amd64", "arm64")] == [
            "x86_64\n",
            "aarch64\n",
        ]
        index, names = layout(folder / "out/web.tar")
        assert {entry["digest"] for entry in index["manifests"]} <= names
        assert index["top"]["manifests"][0]["digest"] in names
        assert json.loads((folder / "out/folder/index.json").read_bytes())["manifests"][0]["size"]
        assert not list((folder / ".mpbake/runs").glob("*/*.oci.tar"))
        archives[builder] = index
    one, two = archives["box"], archives["two"]
    assert one["annotations"] == two["annotations"] == {"a": "b"}
    assert [entry["platform"] for entry in one["manifests"]] == [entry["platform"] for entry in two["manifests"]]
    of_one, of_two = (set(entry["top"]["manifests"][0]["annotations"]) for entry in (one, two))
    assert of_one == of_two
    # Another engine can load the archive of one node, and also an archive that mpbake has joined.
    docker("image", "load", "--input", str(tmp_path / "two/out/web.tar"))
    assert [machine(docker, f"{unique}:1", platform) for platform in BOTH] == ["x86_64", "aarch64"]


@pytest.mark.one_release
def test_a_plain_archive_of_several_nodes_is_refused(
    testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(plan_of(testbed, "two", unique, 'output = ["type=tar,dest=x.tar"]'))
    completed = run_mpbake(["plan", "web"])
    assert completed.returncode == 3
    assert "its output type=tar" in completed.stderr


class Published(Protocol):
    """A function that publishes a target which has another result as well."""

    def __call__(self, builder: str, more: str, platforms: list[str]) -> set[str]:
        """Publish the target, and assert that the registry serves what was pushed.

        Return the types of its attestations.
        """


@pytest.fixture
def published(testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path) -> Published:
    def publish(builder: str, more: str, platforms: list[str]) -> set[str]:
        plan = plan_of(testbed, builder, repository, more, platforms) + '[builders.engine]\ndriver = "docker"\n'
        (tmp_path / "build.toml").write_text(plan)
        completed = run_mpbake(["run", "web", "--metadata-file", "m.json"])
        assert completed.returncode == 0, completed.stderr
        digest, index = testbed.registry.client.manifest(f"{repository}:1")
        assert json.loads((tmp_path / "m.json").read_bytes())["web"]["containerimage.digest"] == digest
        assert platforms_of(index) == platforms
        entries = json.loads(index)["manifests"]
        return {entry["annotations"][TYPE] for entry in entries if TYPE in entry.get("annotations", {})}

    return publish


TYPE = "vnd.docker.reference.type"
ATTESTED = {"attestation-manifest"}
CHECKED = 'push = true\nchecks = [{ run = ["true"] }]'
ARCHIVE = "type=oci,dest=web.tar"
ZSTD = "type=registry,compression=zstd,force-compression=true"


@pytest.mark.parametrize("builder", ["default", "box"])
@pytest.mark.parametrize("more", ["push = true", CHECKED, f'{CHECKED}\nattest = ["type=provenance,mode=max"]'])
def test_what_is_loaded_is_pushed_as_it_is(
    builder: str, more: str, published: Published, docker: Docker, repository: str
) -> None:
    assert published(builder, f"{more}\nload = true", BOTH[:1]) == ATTESTED
    assert machine(docker, f"{repository}:1") == "x86_64"


@pytest.mark.parametrize(
    ("builder", "more", "attested"),
    [
        ("box", f'output = ["{ZSTD}", "{ARCHIVE}"]', ATTESTED),
        ("two", f'push = true\noutput = ["{ARCHIVE}"]\nattest = ["type=provenance,disabled=true"]', set()),
        ("engine", f'push = true\noutput = ["{ARCHIVE}"]', ATTESTED),
        ("engine", f'{CHECKED}\noutput = ["{ARCHIVE}"]', ATTESTED),
    ],
)
def test_what_is_put_into_an_archive_is_pushed_as_it_is(
    builder: str, more: str, attested: set[str], published: Published, tmp_path: Path
) -> None:
    assert published(builder, more, BOTH) == attested
    assert layout(tmp_path / "web.tar")[1]


def test_what_is_only_built_for_others_is_no_image_in_the_engine(
    testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, unique: str, tmp_path: Path
) -> None:
    more = 'load = true\nchecks = [{ run = ["true"] }]\ncontexts.base = "target:base"'
    plan = plan_of(testbed, "default", unique, more).replace(f"FROM {testbed.env()['BASE_IMAGE']}", "FROM base")
    base = f"""
[targets.base]
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}"
platforms = {BOTH}
[defaults.target]
labels = {{ which = "{unique}" }}
"""
    (tmp_path / "build.toml").write_text(plan + base)

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 0, completed.stderr
    assert "check web linux/amd64,linux/arm64: true: done" in completed.stderr
    images = docker("image", "ls", "--all", "--quiet", "--filter", f"label=which={unique}").split()
    assert images == docker("image", "ls", "--quiet", f"{unique}:1").split()


@pytest.mark.one_release
def test_builds_that_keep_the_same_image_at_once(
    testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path
) -> None:
    """If several builds store the same image at the same time, the engine accepts it from one of them only."""
    plan = f"""
version = 1
[variables]
ROUND = {{ env = "ROUND", default = "0" }}
[targets.web]
name = "web-{{{{ n }}}}"
matrix = {{ n = {[str(row) for row in range(6)]} }}
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}"
labels = {{ which = "{unique} {{{{ ROUND }}}}" }}
attest = ["type=provenance,disabled=true"]
output = ["type=image"]
"""
    (tmp_path / "build.toml").write_text(plan)
    for number in range(4):
        completed = run_mpbake(["run", "web"], env={"ROUND": str(number)})
        assert completed.returncode == 0, completed.stderr


@pytest.mark.parametrize("builder", ["default", "box", "two"])
def test_metadata_for_programs(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    plan = plan_of(testbed, builder, repository, "push = true")
    base = testbed.env()["BASE_IMAGE"]
    bad = f"platforms = ['linux/amd64']\ndockerfile-inline = \"FROM {base}\\nRUN exit 7\"\n"
    bad = f"[targets.bad]\nbuilder = '{builder}'\n{bad}"
    (tmp_path / "build.toml").write_text(plan.replace("[defaults.builder]", f"{bad}[defaults.builder]"))

    completed = run_mpbake(["run", "web", "bad", "--metadata-file", "m.json"])

    assert completed.returncode == 1, completed.stderr
    metadata = json.loads((tmp_path / "m.json").read_bytes())
    digest, index = testbed.registry.client.manifest(f"{repository}:1")
    web = metadata["web"]
    assert (web["containerimage.digest"], web["image.name"]) == (digest, f"{repository}:1")
    images = {f"linux/{entry['platform']['architecture']}": entry["digest"] for entry in json.loads(index)["manifests"]}
    own = web["mpbake"]
    assert (own["status"], own["tags"], own["errors"]) == ("done", [f"{repository}:1"], [])
    assert {name: entry["containerimage.digest"] for name, entry in own["platforms"].items()} == {
        name: images[name] for name in BOTH
    }
    assert all(entry["seconds"] > 0 and entry["buildx.build.ref"] for entry in own["platforms"].values())
    assert ("containerimage.descriptor" in web) == (builder != "two")
    assert metadata["bad"]["mpbake"]["status"] == "failed"
    assert "exit code: 7" in metadata["bad"]["mpbake"]["errors"][0]
    assert "containerimage.digest" not in metadata["bad"]


@pytest.mark.one_release
@pytest.mark.parametrize("builder", ["box", "two"])
def test_metadata_tells_where_to_find_what_was_pushed_before_something_failed(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    more = 'push = true\nchecks = [{ run = ["false"], platforms = ["linux/amd64"] }]'
    gone = f"""
[targets.far]
builder = "gone"
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}"
platforms = ["linux/amd64"]
[builders.gone]
driver = "remote"
nodes.one = {{ endpoint = "unix://{tmp_path}/nobody", platforms = ["linux/amd64"] }}
"""
    (tmp_path / "build.toml").write_text(plan_of(testbed, builder, repository, more) + gone)

    completed = run_mpbake(["run", "web", "far", "--publish", "together", "--metadata-file", "m.json"])

    assert completed.returncode == 5, completed.stderr
    metadata = json.loads((tmp_path / "m.json").read_bytes())
    platforms = metadata["web"]["mpbake"]["platforms"]
    assert set(platforms) == set(BOTH)
    for platform, image in platforms.items():
        assert image["status"] == "done"
        name, _, digest = image["pushed"].partition("@")
        assert name == repository
        served, index = testbed.registry.client.manifest(image["pushed"])
        assert served == digest
        assert platform in platforms_of(index)
    assert len({image["pushed"] for image in platforms.values()}) == (1 if builder == "box" else 2)
    assert metadata["far"]["mpbake"]["status"] == "skipped"
    (error,) = metadata["far"]["mpbake"]["errors"]
    assert error.startswith(
        "build far linux/amd64 on gone/one: not started, since bootstrap gone/one failed: node gone"
    )
