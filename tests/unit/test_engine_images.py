"""Images in the store of an engine: named for the user, and not left under names of mpbake's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpbake.buildkit.engine_images import EngineImages
from mpbake.buildkit.instances import Ready
from mpbake.errors import BuildFailed, Cancelled, Unreachable
from mpbake.events import Event, Warned
from mpbake.placement import NodeFacts
from mpbake.plan import Driver, Node
from tests.unit.dockers import FakeDocker, done, failed
from tests.unit.plans import target_of_text

NODE = Node(builder="default", name="local", driver=Driver.DOCKER, endpoint="here")
READY = Ready(node=NODE, facts=NodeFacts(driver=Driver.DOCKER), builder="here", store=Path("/store"))
WEB = target_of_text("[targets.web]\ntags = ['r/web:1', 's/web:2']")


class Recorder:
    """Keeps warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def handle(self, event: Event) -> None:
        """Keep one."""
        assert isinstance(event, Warned)
        self.warnings.append(event.message)


def test_names_are_given_in_the_background_and_those_of_uploads_removed_in_the_end() -> None:
    docker, recorder = FakeDocker({"tag": done(), "image rm": done()}), Recorder()
    images = EngineImages(docker)
    images.keep_in_mind([WEB], READY)
    images.keep_in_mind([WEB], READY)
    images.name_later(WEB, "sha256:1", READY, recorder)
    images.close()
    assert docker.commands == [
        "tag sha256:1 r/web:1",
        "tag sha256:1 s/web:2",
        "image rm r/web:mpbake-upload-4b5e57f6eb2f s/web:mpbake-upload-4b5e57f6eb2f",
    ]
    assert {each["endpoint"] for each in docker.settings} == {"here"}
    assert recorder.warnings == []


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Error response from daemon: No such image: sha256:1", BuildFailed),
        ("Cannot connect to the Docker daemon at unix:///x", Unreachable),
    ],
)
def test_an_engine_that_cannot_name_an_image(said: str, kind: type[Exception]) -> None:
    images, recorder = EngineImages(FakeDocker({"tag": failed(said)})), Recorder()
    with pytest.raises(kind, match=rf"^the engine cannot name r/web:1: {said}"):
        images.name(WEB, "sha256:1", READY)
    images.name_later(WEB, "sha256:1", READY, recorder)
    images.close()
    (warning,) = recorder.warnings
    assert warning.startswith("web: published, but the engine's own tags do not name the new image: the engine cannot")


def test_a_run_that_is_cancelled_names_nothing_and_says_nothing() -> None:
    images, recorder = EngineImages(FakeDocker({"tag": Cancelled("cancelled")})), Recorder()
    images.name_later(WEB, "sha256:1", READY, recorder)
    images.close()
    assert recorder.warnings == []
