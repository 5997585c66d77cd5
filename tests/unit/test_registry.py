"""Tags given, and images read back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.buildkit.instances import Ready
from mpbake.buildkit.registry import Registry
from mpbake.errors import BuildFailed, Cancelled, Unreachable
from mpbake.placement import NodeFacts
from mpbake.plan import Driver, Node
from mpbake.steps import Publish
from tests.unit.dockers import FakeDocker, done, failed
from tests.unit.indexes import attestation, entry
from tests.unit.plans import target_of_text, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpbake.buildkit.docker import Completed
    from mpbake.plan import Target


# --- requests ---------------------------------------------------------------------------------------------------------


def web(attributes: str = "") -> Target:
    return target_of_text(f"[targets.web]\ntags = ['r/web:1', 'r/web:latest', 's:5000/web:1']\n{attributes}")


def registry(docker: FakeDocker) -> Registry:
    node = Node(builder="x", name="n", driver=Driver.REMOTE)
    facts = NodeFacts(driver=Driver.REMOTE)
    return Registry(docker=docker, through=Ready(node=node, facts=facts, builder="x-n", store=Path("/nodes/x-n")))


def says(*answers: Completed) -> Callable[[object], Completed]:
    """One answer after the other, the last for ever."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def test_pieces_become_one_index_under_all_tags() -> None:
    docker = FakeDocker({"--dry-run": done("{}\n"), "buildx imagetools create": done()})
    target = web("annotations = ['index:a=b', 'manifest:c=d', 'manifest,index-descriptor:e=f']")
    digest = registry(docker).join(Publish(target=target), ["sha256:1", "sha256:2"])
    create = "buildx imagetools create --builder x-n --progress plain --annotation index:a=b"
    first = f"{create} --tag r/web:1 --tag r/web:latest r/web@sha256:1 r/web@sha256:2"
    second = f"{create} --tag s:5000/web:1 s:5000/web@sha256:1 s:5000/web@sha256:2"
    assert docker.commands == [f"{first} --dry-run", first, second]
    assert (
        docker.settings
        == [
            {"endpoint": "", "environment": {"BUILDX_CONFIG": "/nodes/x-n"}, "timeout": 300.0},
        ]
        * 3
    )
    assert digest == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.mark.parametrize(
    ("printed", "index"),
    [
        ("{}\n", b"{}"),
        ("{}", b"{}"),
        ("{}\n\n", b"{}\n"),
        ('{\n  "a": "ä"\n}\n', '{\n  "a": "ä"\n}'.encode()),
    ],
)
def test_the_digest_of_an_index_is_that_of_its_bytes(printed: str, index: bytes) -> None:
    docker = FakeDocker({"--dry-run": done(printed, "warning"), "buildx imagetools create": done("other")})
    assert registry(docker).join(Publish(target=web()), ["sha256:1"]) == f"sha256:{hashlib.sha256(index).hexdigest()}"


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (failed("ERROR: r/web@sha256:1: not found\n"), BuildFailed, "r/web@sha256:1: not found"),
        (
            failed("", timed_out=True),
            Unreachable,
            "no answer in time\n  = is the registry up and reachable from this machine?",
        ),
    ],
)
def test_an_index_that_cannot_be_made_gives_no_tag(answer: Completed, kind: type[Exception], told: str) -> None:
    docker = FakeDocker({"--dry-run": answer})
    with pytest.raises(kind) as caught:
        registry(docker).join(Publish(target=web()), ["sha256:1"])
    assert str(caught.value) == f"the index of all platforms cannot be made: {told}"
    assert len(docker.commands) == 1


def test_an_index_that_is_there_already_is_tagged_as_it_is() -> None:
    docker = FakeDocker({"buildx imagetools create": done("", "#1 0.09 pushing sha256:1 to r/web:1\n")})
    registry(docker).tag(Publish(target=web("annotations = ['index:a=b']")), "sha256:1")
    create = "buildx imagetools create --builder x-n --progress plain"
    assert docker.commands == [
        f"{create} --tag r/web:1 --tag r/web:latest r/web@sha256:1",
        f"{create} --tag s:5000/web:1 s:5000/web@sha256:1",
    ]
    other = FakeDocker({"buildx imagetools create": done("", "#1 0.09 pushing sha256:2 to r/web:1\n")})
    with pytest.raises(BuildFailed, match=r"r/web:1 names sha256:2, not sha256:1 \(moved: r/web:1, r/web:latest; not"):
        registry(other).tag(Publish(target=web()), "sha256:1")


HALF = text("""
    #1 [internal] pushing s:5000/web:1
    #1 0.000 copying sha256:9b8d from r/web@sha256:1 to s:5000/web:1
    #1 ERROR: authorization failed: no basic auth credentials

    #2 [internal] pushing r/web:latest
    #2 0.000 pushing sha256:9b8d to r/web:latest

    #3 [internal] pushing r/web:1
    #3 0.090 pushing sha256:9b8d to r/web:1
    #3 DONE 0.1s
    ------
     > [internal] pushing s:5000/web:1:
    0.000 copying sha256:9b8d from r/web@sha256:1 to s:5000/web:1
    ------
    ERROR: authorization failed: no basic auth credentials
    """)


def test_it_is_told_exactly_which_tags_have_moved() -> None:
    docker = FakeDocker({"--dry-run": done("{}"), "buildx imagetools create": failed(HALF)})
    with pytest.raises(BuildFailed) as caught:
        registry(docker).join(Publish(target=web()), ["sha256:1"])
    assert str(caught.value) == text("""
        the tags could not be given (moved: r/web:1; not moved: r/web:latest, s:5000/web:1): authorization failed: \
no basic auth credentials
          = check docker login and the repository's rights
        """)


def test_what_was_stopped_or_refused_knows_what_had_moved() -> None:
    step = Publish(target=web())
    stopped = {"buildx imagetools create": done(), "s:5000/web@sha256:1": Cancelled("cancelled")}
    with pytest.raises(Cancelled) as found:
        registry(FakeDocker(dict(reversed(stopped.items())))).tag(step, "sha256:1")
    assert (found.value.unsure, found.value.moved) == (True, ("r/web:1", "r/web:latest"))
    with pytest.raises(BuildFailed) as refused:
        registry(FakeDocker({"buildx imagetools create": failed(HALF)})).tag(step, "sha256:1")
    assert refused.value.moved == ("r/web:1",)
    pushing = {"push --quiet r/web:latest": Cancelled("cancelled"), "push": done(), "tag": done()}
    with pytest.raises(Cancelled) as pushed:
        registry(FakeDocker(pushing)).push(step, "sha256:1")
    assert (pushed.value.unsure, pushed.value.moved) == (True, ("r/web:1",))
    with pytest.raises(Cancelled) as uploading:
        registry(FakeDocker({"tag": done(), "push": Cancelled("cancelled"), "image rm": done()})).upload(
            step, step.target, "sha256:1"
        )
    assert (uploading.value.unsure, uploading.value.moved) == (False, ())


def test_repositories_have_their_tags_one_after_the_other() -> None:
    target = target_of_text("[targets.web]\ntags = ['r/web:1', 's/web:1', 'r/web:2', 't/web:1']")
    answers = {"--dry-run": done("{}"), "t/web@sha256:1": failed(pushes(bad="t/web:1")), "": done()}
    docker = FakeDocker(answers)
    with pytest.raises(Unreachable, match=r"\(moved: r/web:1, s/web:1, r/web:2; not moved: t/web:1\): unexpected stat"):
        registry(docker).join(Publish(target=target), ["sha256:1"])
    refused = FakeDocker({"--dry-run": done("{}"), "s/web@sha256:1": failed("403 Forbidden"), "": done()})
    with pytest.raises(BuildFailed, match=r"\(moved: r/web:1, r/web:2; not moved: s/web:1, t/web:1\): 403 Forb"):
        registry(refused).join(Publish(target=target), ["sha256:1"])
    assert [each.split("plain ")[1] for each in refused.commands] == [
        "--tag r/web:1 --tag r/web:2 r/web@sha256:1 --dry-run",
        "--tag r/web:1 --tag r/web:2 r/web@sha256:1",
        "--tag s/web:1 s/web@sha256:1",
    ]


def test_all_repositories_must_have_made_the_same_index() -> None:
    good = f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
    said = "#1 [internal] pushing {0}\n#1 0.090 pushing {1} to {0}\n#1 DONE 0.1s\n"
    one, other = (done("", said.format(*each)) for each in (("r/web:1", good), ("s:5000/web:1", "sha256:bad")))
    docker = FakeDocker({"--dry-run": done("{}"), "s:5000/web@sha256:1": other, "": one})
    with pytest.raises(BuildFailed) as caught:
        registry(docker).join(Publish(target=web()), ["sha256:1"])
    moved = "moved: r/web:1, r/web:latest, s:5000/web:1; not moved: none"
    assert caught.value.message == f"s:5000/web:1 names sha256:bad, not {good} ({moved})"
    assert {*caught.value.moved} == {*web().tags}


def test_names_on_docker_hub_are_known_in_full() -> None:
    docker = FakeDocker(
        {
            "--dry-run": done("{}"),
            "buildx imagetools create": failed("#1 [internal] pushing docker.io/team/web:1\n#1 DONE 0.1s\n"),
        }
    )
    target = target_of_text("[targets.web]\ntags = ['team/web:1', 'team/web:2']")
    with pytest.raises(BuildFailed, match=r"\(moved: team/web:1; not moved: team/web:2\)"):
        registry(docker).join(Publish(target=target), ["sha256:1"])


def test_a_registry_that_does_not_answer() -> None:
    docker = FakeDocker({"--dry-run": done("{}"), "buildx imagetools create": failed("", timed_out=True)})
    with pytest.raises(Unreachable) as caught:
        registry(docker).join(Publish(target=web()), ["sha256:1"])
    assert str(caught.value) == text("""
        the tags could not be given (moved: none; not moved: r/web:1, r/web:latest, s:5000/web:1): no answer in time
          = is the registry up and reachable from this machine?
        """)


def test_the_engine_pushes_tag_after_tag_and_each_names_what_was_built() -> None:
    docker = FakeDocker({"push --quiet": done(), "tag": done()})
    registry(docker).push(Publish(target=web()), "sha256:1")
    pushes = ["push --quiet r/web:1", "push --quiet r/web:latest", "push --quiet s:5000/web:1"]
    assert docker.commands[1::2] == pushes
    assert docker.commands[::2] == [each.replace("push --quiet", "tag sha256:1") for each in pushes]
    docker = FakeDocker({"push --quiet": done()})
    registry(docker).push(Publish(target=web()), "")
    assert docker.commands == pushes


def test_an_engine_that_cannot_name_an_image_says_why() -> None:
    gone = failed("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?")
    docker = FakeDocker({"push": done(), "tag sha256:1 r/web:latest": gone, "tag": done(), "image rm": done()})
    with pytest.raises(Unreachable, match=r"moved: r/web:1; .*: Cannot connect to the Docker daemon") as caught:
        registry(docker).push(Publish(target=web()), "sha256:1")
    assert caught.value.moved == ("r/web:1",)
    docker = FakeDocker({"tag": Cancelled("cancelled"), "image rm": done()})
    with pytest.raises(Cancelled):
        registry(docker).upload(Publish(target=web()), web(), "sha256:1")
    assert docker.commands[-1].startswith("image rm "), "it may have been named all the same"
    docker = FakeDocker({"push": done(), "tag sha256:1 r/web:latest": Cancelled("cancelled"), "tag": done()})
    with pytest.raises(Cancelled) as stopped:
        registry(docker).push(Publish(target=web()), "sha256:1")
    assert stopped.value.moved == ("r/web:1",)


def test_what_is_gone_from_the_engine_is_not_pushed() -> None:
    docker = FakeDocker({"push": done(), "tag sha256:1 r/web:latest": failed("No such image"), "tag": done()})
    with pytest.raises(BuildFailed) as caught:
        registry(docker).push(Publish(target=web()), "sha256:1")
    assert "(moved: r/web:1; not moved: r/web:latest, s:5000/web:1): it is not in the engine's store" in str(
        caught.value
    )
    assert caught.value.moved == ("r/web:1",)


def test_where_the_engine_stopped_pushing() -> None:
    docker = FakeDocker(
        {
            "push --quiet r/web:latest": failed("denied: requested access to the resource is denied"),
            "push": done(),
            "tag": done(),
        }
    )
    with pytest.raises(
        BuildFailed, match=r"\(moved: r/web:1; not moved: r/web:latest, s:5000/web:1\): denied"
    ) as found:
        registry(docker).push(Publish(target=web()), "sha256:1")
    assert found.value.moved == ("r/web:1",)


@pytest.mark.parametrize(("attribute", "limit"), [("", None), ("timeout = '20m'", 1200.0)])
def test_layers_may_take_as_long_as_the_target_allows(attribute: str, limit: float | None) -> None:
    docker = FakeDocker({"push --quiet": done(), "tag": done(), "image rm": done()})
    step = Publish(target=web(attribute))
    registry(docker).push(step, "sha256:1")
    registry(docker).upload(step, step.target, "sha256:1")
    limits = [
        each["timeout"]
        for command, each in zip(docker.commands, docker.settings, strict=True)
        if command.startswith("push")
    ]
    assert limits == [limit] * 5


def test_a_push_that_takes_longer_than_its_target_may() -> None:
    answers = {"push --quiet r/web:1": done(), "push": failed("", timed_out=True), "tag": done(), "image rm": done()}
    docker = FakeDocker(answers)
    step = Publish(target=web("timeout = '20m'"))
    pushes: tuple[tuple[Callable[[Publish], None], tuple[str, ...], str], ...] = (
        (
            lambda step: registry(docker).push(step, "sha256:1"),
            ("r/web:1",),
            "the tags could not be given (moved: r/web:1; not moved: r/web:latest, s:5000/web:1)",
        ),
        (
            lambda step: registry(docker).upload(step, step.target, "sha256:1"),
            (),
            "the image of web could not be pushed (moved: none; not moved: r/web:1, r/web:latest, s:5000/web:1)",
        ),
    )
    for push, moved, told in pushes:
        with pytest.raises(BuildFailed) as caught:
            push(step)
        assert str(caught.value) == (
            f"{told}: took longer than its timeout of 20m00s\n  = where that is too short, raise timeout"
        )
        assert caught.value.moved == moved


def test_a_failure_among_those_that_move_together_tells_of_all() -> None:
    web_, tool = web(), target_of_text("[targets.web]\ntags = ['r/tool:1']")
    first = target_of_text("[targets.web]\ntags = ['r/first:1']")
    step = Publish(target=web_, order=(first, web_, tool))
    docker = FakeDocker({"--dry-run": done("{}"), "buildx imagetools create": failed(HALF)})
    with pytest.raises(BuildFailed) as caught:
        registry(docker).join(step, ["sha256:1"])
    assert caught.value.message.startswith(
        "the tags could not be given (moved: r/first:1, r/web:1; not moved: r/web:latest, s:5000/web:1, r/tool:1)"
    )
    with pytest.raises(BuildFailed) as caught:
        registry(FakeDocker({"--dry-run": failed("no")})).join(step, ["sha256:1"])
    assert caught.value.message == (
        "the index of all platforms cannot be made (moved: r/first:1; not moved: r/web:1, r/web:latest, "
        "s:5000/web:1, r/tool:1): no"
    )


def test_what_was_stopped_among_those_that_move_together_knows_what_had_moved() -> None:
    first = target_of_text("[targets.web]\ntags = ['r/first:1']")
    target = web()
    step = Publish(target=target, order=(first, target))
    with pytest.raises(Cancelled) as tagging:
        registry(FakeDocker({"s:5000/web@sha256:1": Cancelled("cancelled"), "": done()})).tag(step, "sha256:1")
    assert (tagging.value.unsure, tagging.value.moved) == (True, ("r/first:1", "r/web:1", "r/web:latest"))
    with pytest.raises(Cancelled) as pushing:
        registry(FakeDocker({"tag": done(), "push": Cancelled("cancelled")})).push(step, "sha256:1")
    assert (pushing.value.unsure, pushing.value.moved) == (True, ("r/first:1",))


# --- the order of an index --------------------------------------------------------------------------------------------


def about(image: dict[str, Any], digest: str) -> dict[str, Any]:
    found = attestation()
    return found | {"digest": digest, "annotations": {**found["annotations"], _OF: image["digest"]}}


_OF = "vnd.docker.reference.digest"
AMD, ARM = entry("amd64") | {"digest": "sha256:3"}, entry("arm64") | {"digest": "sha256:4"}
ABOUT_AMD, ABOUT_ARM = about(AMD, "sha256:5"), about(ARM, "sha256:6")
IN_ORDER = [AMD, ARM, ABOUT_AMD, ABOUT_ARM]


def index_of(*entries: object) -> str:
    return json.dumps({"schemaVersion": 2, "manifests": entries}, indent=2)


@pytest.mark.parametrize(
    ("second", "used"),
    [
        (index_of(*IN_ORDER), True),
        (index_of(AMD, ABOUT_AMD, ARM, ABOUT_ARM), False),  # another buildx may order otherwise
        (index_of({**AMD, "annotations": {"lost": "or more"}}, ARM, ABOUT_AMD, ABOUT_ARM), False),
    ],
)
def test_several_nodes_list_their_images_as_one_would(second: str, *, used: bool) -> None:
    first = index_of(AMD, ABOUT_AMD, ARM, ABOUT_ARM)
    docker = FakeDocker({"--dry-run": says(done(first), done(second)), "buildx imagetools create": done()})
    target = web("platforms = ['linux/amd64', 'linux/arm64']")
    digest = registry(docker).join(Publish(target=target), ["sha256:1", "sha256:2"])
    pieces = "r/web@sha256:1 r/web@sha256:2"
    named = "r/web@sha256:3 r/web@sha256:4"  # what attests of them follows
    dry, again, create, other = docker.commands
    assert dry.endswith(f"r/web:latest {pieces} --dry-run")
    assert again.endswith(f"r/web:latest {named} {pieces} --dry-run")
    sources = f"{named} {pieces}" if used else pieces
    assert create.endswith(f"r/web:latest {sources}")
    assert other.endswith(f"s:5000/web:1 {sources.replace('r/web', 's:5000/web')}")
    assert digest == f"sha256:{hashlib.sha256((second if used else first).encode()).hexdigest()}"


def test_an_index_in_order_is_planned_once() -> None:
    docker = FakeDocker({"--dry-run": done(index_of(*IN_ORDER)), "buildx imagetools create": done()})
    registry(docker).join(Publish(target=web("platforms = ['linux/amd64', 'linux/arm64']")), ["sha256:1"])
    assert [each.endswith(" --dry-run") for each in docker.commands] == [True, False, False]


# --- what is there ----------------------------------------------------------------------------------------------------


def test_a_manifest_as_it_is() -> None:
    docker = FakeDocker({"buildx imagetools inspect --builder x-n --raw r/web@sha256:1": done('{"layers": []}')})
    assert registry(docker).raw("r/web@sha256:1") == {"layers": []}


@pytest.mark.parametrize(
    ("complaint", "kind", "hint"),
    [
        ("r/web:1: not found", BuildFailed, ""),
        ("manifest invalid", BuildFailed, ""),
        ("dial tcp: connection refused", Unreachable, "\n  = is the registry up and reachable from this machine?"),
    ],
)
def test_what_cannot_be_read_back(complaint: str, kind: type[Exception], hint: str) -> None:
    docker = FakeDocker({"buildx imagetools inspect": failed(f"more\nERROR: {complaint}\n")})
    for ask in (registry(docker).served, registry(docker).raw):
        with pytest.raises(kind) as caught:
            ask("r/web:1")
        assert str(caught.value) == f"r/web:1 could not be read back: {complaint}{hint}"


@pytest.mark.parametrize("answer", ["", "no JSON", "null", "[1]", "[" * 100_000])
def test_what_is_served_may_be_anything(answer: str) -> None:
    docker = FakeDocker({"buildx imagetools inspect": done(answer)})
    for ask in (registry(docker).served, registry(docker).raw):
        with pytest.raises(BuildFailed, match=r"^r/web:1 could not be read back: what is served is no image: "):
            ask("r/web:1")


# --- registries that stumble ------------------------------------------------------------------------------------------

STUMBLED = "unexpected status from PUT request to http://r/v2/web/manifests/1: 503 Service Unavailable"


def waits(docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that are made, as they come."""
    found: list[float] = []
    monkeypatch.setattr(docker, "pause", found.append)
    return found


@pytest.mark.parametrize(
    "complaint",
    [
        "unexpected status from HEAD request: 500 Internal Server Error",
        "received unexpected HTTP status: 502 Bad Gateway",
        f"warning\nERROR: {STUMBLED}",
        "failed to copy: 504 Gateway Timeout",
    ],
)
def test_every_request_is_made_again_where_the_registry_stumbled(
    complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = target_of_text("[targets.web]\ntags = ['r/web:1']")
    requests: dict[str, tuple[Completed, Callable[[Registry], object]]] = {
        "push --quiet r/web:1": (done(), lambda this: this.push(Publish(target=one), "sha256:1")),
        "push --quiet r/web:mpbake-upload-": (done(), lambda this: this.upload(Publish(target=one), one, "sha256:1")),
        "--dry-run": (done("{}"), lambda this: this.join(Publish(target=one), ["sha256:1"])),
        "buildx imagetools create": (done("{}"), lambda this: this.join(Publish(target=one), ["sha256:1"])),
        "buildx imagetools inspect": (
            done('{"manifest": {"digest": "sha256:1"}}'),
            lambda this: this.served("r/web:1"),
        ),
        "buildx imagetools inspect --builder x-n --raw": (done("{}"), lambda this: this.raw("r/web:1")),
    }
    for words, (good, ask) in requests.items():
        said = says(failed(complaint), failed(complaint), good)
        others = {"--dry-run": done("{}"), "buildx imagetools create": done(), "tag": done(), "image rm": done()}
        docker = FakeDocker(others | {words: said})
        waited = waits(docker, monkeypatch)
        ask(registry(docker))
        assert waited == [0.5, 2.0], words
        assert sum(each.startswith(words) or each.endswith(words) for each in docker.commands) >= 3, words


@pytest.mark.parametrize(
    "answer",
    [
        failed("unexpected status from PUT request to http://r/v2/web/manifests/1: 403 Forbidden"),
        failed("toomanyrequests: 429 Too Many Requests"),
        failed("r/web:1: not found"),
        failed("dial tcp 127.0.0.1:5000: connect: connection refused"),
        failed('Head "http://r/v2/web/blobs/sha256:500": EOF'),
        failed(STUMBLED, timed_out=True),
    ],
)
def test_what_is_not_the_registrys_own_failure_is_final(answer: Completed, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = FakeDocker({"": answer})
    waited = waits(docker, monkeypatch)
    with pytest.raises((BuildFailed, Unreachable)):
        registry(docker).served("r/web:1")
    assert (waited, len(docker.commands)) == ([], 1)


def test_what_buildx_tried_again_by_itself_is_not_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = FakeDocker({"buildx imagetools create": done("", f"#1 {STUMBLED}\n")})
    waited = waits(docker, monkeypatch)
    registry(docker).tag(Publish(target=target_of_text("[targets.web]\ntags = ['r/web:1']")), "sha256:1")
    assert (waited, len(docker.commands)) == ([], 1)


def test_the_names_that_an_upload_leaves_behind_are_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = failed("500 Internal Server Error")
    docker = FakeDocker({"tag": done(), "push": done(), "image rm": failing})
    waited = waits(docker, monkeypatch)
    registry(docker).upload(Publish(target=web()), web(), "sha256:1")
    names = [f"{each}:mpbake-upload-4b5e57f6eb2f" for each in ("r/web", "s:5000/web")]
    words = ("tag sha256:1 {}", "push --quiet {}", "image rm {}")
    assert (waited, docker.commands) == ([], [each.format(name) for name in names for each in words])


def test_the_name_that_an_upload_leaves_behind_goes_whatever_became_of_it() -> None:
    docker = FakeDocker({"tag": done(), "push": failed("denied"), "image rm": done()})
    with pytest.raises(BuildFailed):
        registry(docker).upload(Publish(target=web()), web(), "sha256:1")
    assert docker.commands[-1] == "image rm r/web:mpbake-upload-4b5e57f6eb2f"


def test_an_image_that_is_gone_from_the_engine_is_not_uploaded() -> None:
    docker = FakeDocker({"tag": failed("Error response from daemon: No such image: sha256:1"), "image rm": done()})
    with pytest.raises(BuildFailed) as caught:
        registry(docker).upload(Publish(target=web()), web(), "sha256:1")
    assert str(caught.value) == (
        "the image of web could not be pushed (moved: none; not moved: r/web:1, r/web:latest, s:5000/web:1): "
        "it is not in the engine's store any more\n"
        "  = another run has built these tags there meanwhile, or somebody has removed it: run again"
    )


def test_a_registry_that_stumbles_for_ever_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = FakeDocker({"buildx imagetools inspect": failed(STUMBLED)})
    waited = waits(docker, monkeypatch)
    with pytest.raises(Unreachable, match="503 Service Unavailable"):
        registry(docker).served("r/web:1")
    assert (waited, len(docker.commands)) == ([0.5, 2.0], 3)


def pushes(*good: str, bad: str) -> str:
    """The progress of `imagetools create` that gives `good` and stumbles over `bad`."""
    lines = [f"#{number} [internal] pushing {tag}\n#{number} DONE 0.1s" for number, tag in enumerate(good, 1)]
    return "\n".join([*lines, f"#9 [internal] pushing {bad}", f"#9 ERROR: {STUMBLED}", f"ERROR: {STUMBLED}"])


def test_what_any_attempt_has_pushed_has_moved() -> None:
    attempts = (
        failed(pushes("r/web:latest", bad="r/web:1")),
        failed(pushes("s:5000/web:1", bad="r/web:latest")),
        failed(pushes(bad="r/web:1")),
    )
    docker = FakeDocker({"--dry-run": done("{}"), "buildx imagetools create": says(*attempts)})
    with pytest.raises(Unreachable) as caught:
        registry(docker).join(Publish(target=web()), ["sha256:1"])
    assert caught.value.message == (
        f"the tags could not be given (moved: r/web:latest, s:5000/web:1; not moved: r/web:1): {STUMBLED}"
    )
    refused = failed(pushes("r/web:1", bad="r/web:latest").replace("503 Service Unavailable", "403 Forbidden"))
    docker = FakeDocker({"--dry-run": done("{}"), "buildx imagetools create": says(attempts[1], refused)})
    with pytest.raises(BuildFailed, match=r"\(moved: r/web:1, s:5000/web:1; not moved: r/web:latest\): .* 403 Forb"):
        registry(docker).join(Publish(target=web()), ["sha256:1"])
    assert len(docker.commands) == 3
