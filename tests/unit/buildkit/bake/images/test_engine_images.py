"""Images in the store of an engine: tagged for the user, without leftover names of uploads."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpbake.base.errors import BuildFailed, Cancelled, Unreachable
from mpbake.buildkit.bake.images.engine_images import EngineImages
from mpbake.buildkit.nodes.instances.instances import ReadyNode
from mpbake.graph.node_facts import NodeFacts
from mpbake.model.plan import Driver, Node
from mpbake.run.events import Event, Warned
from tests.unit.dockers import FakeDocker, done, failed
from tests.unit.plans import target_of_text
from tests.unit.registries import MemoryRegistry, client_of

NODE = Node(builder="default", name="local", driver=Driver.DOCKER, endpoint="here")
READY = ReadyNode(node=NODE, facts=NodeFacts(driver=Driver.DOCKER), builder="here", store=Path("/store"))
ROOT = Path("/plan")
WEB = target_of_text("[targets.web]\ntags = ['r/web:1', 's/web:2']")


class Recorder:
    """A reporter that records warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def handle(self, event: Event) -> None:
        """Record a warning."""
        assert isinstance(event, Warned)
        self.warnings.append(event.message)


def test_names_are_given_in_the_background_and_those_of_uploads_removed_in_the_end() -> None:
    docker, recorder = FakeDocker({"image tag": done(), "image rm": done()}), Recorder()
    images = EngineImages(docker, ROOT)
    images.remember_uploads([WEB], READY)
    images.remember_uploads([WEB], READY)
    images.name_later(WEB, "sha256:1", READY, recorder)
    images.finish()
    assert docker.commands == ["image tag sha256:1 r/web:1", "image tag sha256:1 s/web:2"]
    images.close()
    assert docker.commands[2:] == [
        "image rm r/web:mpbake-upload-dd3e22270ce0 s/web:mpbake-upload-dd3e22270ce0",
    ]
    assert {settings["endpoint"] for settings in docker.settings} == {"here"}
    assert recorder.warnings == []


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("Error response from daemon: No such image: sha256:1", BuildFailed),
        ("Cannot connect to the Docker daemon at unix:///x", Unreachable),
    ],
)
def test_an_engine_that_cannot_name_an_image(output: str, kind: type[Exception]) -> None:
    images, recorder = EngineImages(FakeDocker({"image tag": failed(output)}), ROOT), Recorder()
    with pytest.raises(kind, match=rf"^the engine cannot give an image the tag r/web:1: {output}"):
        images.name(WEB, "sha256:1", READY)
    images.name_later(WEB, "sha256:1", READY, recorder)
    images.close()
    (warning,) = recorder.warnings
    assert warning.startswith("web: published, but the engine's own tags do not name the new image: the engine cannot")


def test_a_run_that_is_cancelled_names_nothing_and_says_nothing() -> None:
    images, recorder = EngineImages(FakeDocker({"image tag": Cancelled("cancelled")}), ROOT), Recorder()
    images.name_later(WEB, "sha256:1", READY, recorder)
    images.close()
    assert recorder.warnings == []


def inspected(**digests: str) -> FakeDocker:
    """Return an engine that lists these RepoDigests of an image, by the image's ID or by its tag."""
    answers = {
        f"image inspect {name}": done(f'[{{"RepoDigests": {digests_json}}}]') for name, digests_json in digests.items()
    }
    return FakeDocker({"image tag": done(), "image push": done(), "image rm": done(), **answers})


TAG = "r/web:mpbake-upload-dd3e22270ce0"
ONE_REPOSITORY = target_of_text("[targets.web]\ntags = ['r/web:1']")


def test_an_upload_that_another_run_replaced_is_not_published() -> None:
    """When the image is pushed, the upload tag names the image of another run."""
    registry = MemoryRegistry()
    other = registry.add_index("r/web", "amd64").digest
    docker = inspected(**{TAG: f'["r/web@{other}"]', "sha256:1": "[]"})
    with pytest.raises(
        BuildFailed, match=r"^r/web does not serve the image that was pushed\n  = run again: another run may"
    ):
        EngineImages(docker, ROOT).upload(ONE_REPOSITORY, "sha256:1", READY, client_of(registry))
    assert docker.commands[-1] == f"image rm {TAG}"


def test_an_upload_is_known_by_the_digest_of_its_image_in_the_same_repository() -> None:
    registry = MemoryRegistry()
    own = registry.add_index("r/web", "amd64").digest
    earlier = f"sha256:{'0' * 64}"
    listed = f'["s/web@sha256:{"1" * 64}", "docker.io/r/web@{earlier}", "r/web@{own}"]'
    docker = inspected(**{"sha256:1": listed})
    assert EngineImages(docker, ROOT).upload(ONE_REPOSITORY, "sha256:1", READY, client_of(registry)) == {"r/web": own}
    assert registry.asked == [f"GET r/web@{earlier}", f"GET r/web@{own}"]


@pytest.mark.parametrize("output", ["", "null", "{", "[5]"])
def test_an_engine_that_lists_no_digests_of_an_image(output: str) -> None:
    docker = inspected(**{"sha256:1": output})
    with pytest.raises(BuildFailed, match="does not serve the image that was pushed"):
        EngineImages(docker, ROOT).upload(ONE_REPOSITORY, "sha256:1", READY, client_of(MemoryRegistry()))
