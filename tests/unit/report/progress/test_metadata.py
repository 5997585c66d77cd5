"""The file of `--metadata-file`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import BuildFailed, Unreachable, UsageError
from mpbake.base.platforms import parse_platform
from mpbake.base.tag_moves import TagMoves
from mpbake.model.steps import BootstrapNode, BuildPiece, Delivery, Outcome, Publish, StepResult, StepStatus, Verify
from mpbake.report.progress.metadata import metadata_file, metadata_of, write_metadata
from mpbake.run.events import RunFinished
from tests.unit.graphs import TWO_NODES, graph_of_text, piece_of

if TYPE_CHECKING:
    from mpbake.graph.dag import BuildGraph
    from mpbake.model.steps import Step

AMD64, ARM64 = parse_platform("linux/amd64"), parse_platform("linux/arm64")
TAGS = ("r/web:1",)


def plan(platforms: str) -> BuildGraph:
    target = "[targets.web]\nbuilder = 'release'\ntags = ['r/web:1']\npush = true"
    return graph_of_text(f"\n{target}\nplatforms = [{platforms}]\n{TWO_NODES}")


def outcome_of(step: Step, folder: Path) -> Outcome:
    match step:
        case BuildPiece():
            (placed,) = step.platforms
            log = folder / f"{placed.platform.architecture}.log"
            fields = {"buildx.build.ref": f"ref/{placed.platform}", "containerimage.digest": "sha256:piece", "more": {}}
            log.with_suffix(".json").write_text(json.dumps({"web": fields}))
            uploaded = f"r/web@sha256:{placed.platform.architecture}" if step.delivery is Delivery.UNTAGGED else ""
            return Outcome(digest="sha256:piece", uploaded=uploaded, platforms=(placed.platform,), log=str(log))
        case Publish():
            return Outcome(digest="sha256:index", tags=TAGS)
        case Verify():
            return Outcome(digest="sha256:index", tags=TAGS, images={AMD64: "sha256:amd", ARM64: "sha256:arm"})
        case _:
            return Outcome()


def finished(graph: BuildGraph, folder: Path, failing: str = "never") -> RunFinished:
    results = []
    for step in graph.steps:
        bad = step.key.startswith(failing)
        status, outcome = (StepStatus.FAILED, Outcome()) if bad else (StepStatus.DONE, outcome_of(step, folder))
        error = BuildFailed("the secret word") if bad else None
        results.append(StepResult(step=step, status=status, seconds=1.23456, outcome=outcome, error=error))
    return RunFinished(results=tuple(results), seconds=2.0)


def test_one_piece_is_told_as_bake_tells_it(tmp_path: Path) -> None:
    graph = plan("'linux/arm64'")
    assert metadata_of(graph, finished(graph, tmp_path), str) == {
        "web": {
            "buildx.build.ref": "ref/linux/arm64",
            "containerimage.digest": "sha256:index",
            "image.name": "r/web:1",
            "more": {},
            "mpbake": {
                "status": "done",
                "tags": ["r/web:1"],
                "may-have-moved": [],
                "platforms": {
                    "linux/arm64": {
                        "status": "done",
                        "node": "release/arm",
                        "seconds": 1.235,
                        "pushed": "r/web@sha256:arm64",
                        "containerimage.digest": "sha256:arm",
                        "buildx.build.ref": "ref/linux/arm64",
                    }
                },
                "errors": [],
            },
        }
    }


def test_several_pieces_have_the_digest_of_all(tmp_path: Path) -> None:
    graph = plan("'linux/amd64', 'linux/arm64'")
    web = metadata_of(graph, finished(graph, tmp_path), str)["web"]
    assert {name: value for name, value in web.items() if name != "mpbake"} == {
        "containerimage.digest": "sha256:index",
        "image.name": "r/web:1",
    }
    assert {name: platform["containerimage.digest"] for name, platform in web["mpbake"]["platforms"].items()} == {
        "linux/amd64": "sha256:amd",
        "linux/arm64": "sha256:arm",
    }


@pytest.mark.parametrize("failing", ["build web linux/arm64", "publish"])
def test_what_failed_is_told_and_has_no_digest(failing: str, tmp_path: Path) -> None:
    graph = plan("'linux/amd64', 'linux/arm64'")
    path = tmp_path / "metadata.json"
    results = finished(graph, tmp_path, failing).results[: -2 if failing == "publish" else -3]
    more = [result for result in finished(graph, tmp_path, failing).results if result.error is not None]
    write_metadata(
        path, graph, RunFinished(results=(*results, *more), seconds=1), lambda text: text.replace("secret", "***")
    )
    web = json.loads(path.read_bytes())["web"]
    assert (web["mpbake"]["status"], web["mpbake"]["errors"]) == ("failed", ["the *** word"])
    assert "containerimage.digest" not in web
    assert set(web["mpbake"]["platforms"]) == {"linux/amd64", "linux/arm64"}


@pytest.mark.parametrize(
    ("failing", "name"), [("never", "r/web:1"), ("check", ""), ("publish", ""), ("verify", "r/web:1")]
)
def test_what_was_built_and_never_tagged_has_no_name(failing: str, name: str, tmp_path: Path) -> None:
    graph = plan("'linux/arm64'\n]\nchecks = [{ run = ['true'] }")
    results = finished(graph, tmp_path, failing).results
    last = next((index for index, result in enumerate(results) if result.error is not None), len(results))
    file = tmp_path / "arm64.json"
    fields = json.loads(file.read_bytes())["web"] | {"image.name": "r/web"}
    file.write_text(json.dumps({"web": fields}))
    web = metadata_of(graph, RunFinished(results=results[: last + 1], seconds=1), str)["web"]
    assert web.get("image.name", "") == name
    assert web["mpbake"]["status"] == ("done" if failing == "never" else "failed")


@pytest.mark.parametrize("failing", ["never", "check", "publish"])
def test_what_was_pushed_by_digest_can_be_found_whatever_came_after(failing: str, tmp_path: Path) -> None:
    graph = plan("'linux/amd64', 'linux/arm64'\n]\nchecks = [{ run = ['true'] }")
    results = finished(graph, tmp_path, failing).results
    last = next((index for index, result in enumerate(results) if result.error is not None), len(results))
    web = metadata_of(graph, RunFinished(results=results[: last + 1], seconds=1), str)["web"]["mpbake"]
    assert {name: (platform["status"], platform["pushed"]) for name, platform in web["platforms"].items()} == {
        "linux/amd64": ("done", "r/web@sha256:amd64"),
        "linux/arm64": ("done", "r/web@sha256:arm64"),
    }


@pytest.mark.parametrize("status", [StepStatus.FAILED, StepStatus.CANCELLED])
def test_what_became_of_tags_is_there(status: StepStatus) -> None:
    graph = plan("'linux/arm64'")
    moves = TagMoves(moved=("r/other:1",), unsure=TAGS, unmoved=("r/last:1",))
    error = BuildFailed(f"no\n{moves}") if status is StepStatus.FAILED else None
    publish = next(step for step in graph.steps if isinstance(step, Publish))
    ended = StepResult(step=publish, status=status, seconds=1, outcome=Outcome(moves=moves), error=error)
    web = metadata_of(graph, RunFinished(results=(ended,), seconds=1), str)["web"]
    own = web["mpbake"]
    assert ("image.name" in web, own["tags"], own["may-have-moved"]) == (False, [], list(TAGS))
    assert (own["status"], str(moves) in own["errors"][0]) == (status, True)


def test_what_was_not_started_says_why(tmp_path: Path) -> None:
    """The reason has the words of the reporter.

    It contains the error of the failed step, which belongs to no target.
    """
    graph = plan("'linux/arm64'")
    boot = next(step for step in graph.steps if isinstance(step, BootstrapNode))
    results = [StepResult(step=boot, status=StepStatus.FAILED, error=Unreachable("the secret node is gone"))]
    results += [
        StepResult(step=step, status=StepStatus.SKIPPED, blocked_by=boot) for step in graph.steps if step != boot
    ]
    path = tmp_path / "metadata.json"
    write_metadata(
        path, graph, RunFinished(results=tuple(results), seconds=1), lambda text: text.replace("secret", "*")
    )
    web = json.loads(path.read_bytes())["web"]["mpbake"]
    assert (web["status"], web["errors"]) == (
        "skipped",
        [
            "build web linux/arm64 on release/arm: not started, since bootstrap release/arm failed: the * node is gone",
            "publish web: not started, since bootstrap release/arm failed: the * node is gone",
        ],
    )


def test_tags_that_waited_for_another_target_say_so(tmp_path: Path) -> None:
    targets = "".join(
        f"[targets.{name}]\nbuilder = 'release'\ntags = ['r/{name}:1']\npush = true\nplatforms = ['linux/arm64']\n"
        for name in ("web", "api")
    )
    graph = graph_of_text(f"\n{targets}{TWO_NODES}", together=True)
    results = []
    failed = piece_of(graph, "api")
    for step in graph.steps:
        if step is failed:
            results.append(StepResult(step=step, status=StepStatus.FAILED, error=BuildFailed("exit code: 7")))
        elif isinstance(step, Publish | Verify):
            results.append(StepResult(step=step, status=StepStatus.SKIPPED, blocked_by=failed))
        else:
            outcome = outcome_of(step, tmp_path)
            results.append(StepResult(step=step, status=StepStatus.DONE, outcome=outcome))
    metadata = metadata_of(graph, RunFinished(results=tuple(results), seconds=1), str)
    assert metadata["api"]["mpbake"]["errors"] == ["exit code: 7"]
    web = metadata["web"]["mpbake"]
    assert web["status"] == "skipped"
    assert web["errors"] == [
        "publish web: not started, since build api linux/arm64 on release/arm failed: exit code: 7"
    ]
    assert web["platforms"]["linux/arm64"]["pushed"] == "r/web@sha256:arm64"


def test_where_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    assert metadata_file(tmp_path, "") is None
    assert metadata_file(tmp_path / "below", "m.json") == tmp_path / "below/m.json"
    for wrong in ("no/m.json", "below"):
        with pytest.raises(UsageError):
            metadata_file(tmp_path, wrong)


@pytest.mark.parametrize("target", ["precious", "missing", "/dev/null"])
def test_a_symlink_is_refused_before_anything_is_built(tmp_path: Path, target: str) -> None:
    (tmp_path / "precious").touch()
    (tmp_path / "m.json").symlink_to(target)
    with pytest.raises(UsageError) as caught:
        metadata_file(tmp_path, "m.json")
    assert str(caught.value) == (
        "--metadata-file m.json: mpbake does not write through a symlink\n"
        "  = name the file itself, or remove the symlink: it may have come with a checkout"
    )


def test_standard_output_is_no_symlink_to_refuse(tmp_path: Path) -> None:
    for path in ("/dev/stdout", "/dev/fd/1"):
        assert metadata_file(tmp_path, path) == Path(path)
