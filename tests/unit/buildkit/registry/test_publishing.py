"""The move of tags to pushed images, and the state of the tags after a failure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import pytest

from mpbake.base.errors import BuildFailed, Cancelled, MpbakeError, Unreachable
from mpbake.base.tag_moves import TagMoves
from mpbake.buildkit.registry.authorization import Authorization
from mpbake.buildkit.registry.client import INDEX, Manifest
from mpbake.buildkit.registry.credentials import Credentials
from mpbake.buildkit.registry.publishing import TagPublisher
from mpbake.buildkit.registry.transport import NoResponse, NoResponseKind, Request, Response
from mpbake.model.steps import Publish
from tests.unit.dockers import failed
from tests.unit.plans import target_of_text
from tests.unit.registries import MemoryRegistry, client_of, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpbake.model.plan import Target

TAGS = ("r/web:1", "r/web:2", "s/web:1")
LOST = NoResponse("the connection ended before the answer", sent=True)
LATE = NoResponse("no answer in time", sent=True, kind=NoResponseKind.TIMEOUT)


def web(attributes: str = "") -> Target:
    return target_of_text(f"[targets.web]\ntags = {list(TAGS)}\n{attributes}")


def two_platforms() -> tuple[MemoryRegistry, dict[str, list[str]]]:
    """Return a registry with an index in two repositories, and the source digests of both."""
    registry = MemoryRegistry()
    digest = registry.add_index("r/web", "amd64", "arm64").digest
    registry.add_index("s/web", "amd64", "arm64")
    return registry, {"r/web": [digest], "s/web": [digest]}


def test_one_piece_is_tagged_byte_for_byte() -> None:
    registry, sources = two_platforms()
    digest = TagPublisher(client=client_of(registry)).publish(
        Publish(target=web("annotations = ['index:a=b']")), sources
    )
    assert [digest] == sources["r/web"]
    assert [request for request in registry.asked if "PUT" in request] == [f"PUT {tag}" for tag in TAGS]
    assert {registry.manifests[tag].digest for tag in TAGS} == {digest}


def test_a_plain_image_stays_plain_unless_its_index_is_annotated() -> None:
    registry = MemoryRegistry()
    image = registry.add_image("r/web", "arm", variant="v7")
    registry.add_image("s/web", "arm", variant="v7")
    sources = {"r/web": [image.digest], "s/web": [image.digest]}
    publishing = TagPublisher(client=client_of(registry))
    assert publishing.publish(Publish(target=web()), sources) == image.digest
    publishing.publish(Publish(target=web("annotations = ['index:a=b']")), sources)
    index = json.loads(registry.manifests["r/web:1"].content)
    assert index["annotations"] == {"a": "b"}
    (entry,) = index["manifests"]
    assert (entry["digest"], entry["platform"]) == (
        image.digest,
        {"architecture": "arm", "os": "linux", "variant": "v7"},
    )


def test_pieces_are_joined_in_the_order_of_the_plan() -> None:
    registry = MemoryRegistry()
    pieces = [registry.add_index("r/web", name).digest for name in ("arm64", "amd64")]
    for name in ("arm64", "amd64"):
        registry.add_index("s/web", name)
    target = web("platforms = ['linux/amd64', 'linux/arm64']")
    digest = TagPublisher(client=client_of(registry)).publish(
        Publish(target=target), {"r/web": pieces, "s/web": pieces}
    )
    index = json.loads(registry.manifests["s/web:1"].content)
    assert registry.manifests["s/web:1"].digest == digest
    assert [entry["platform"]["architecture"] for entry in index["manifests"]] == ["amd64", "arm64"]


def at(tag: str, *answers: Response | NoResponse | str) -> Callable[[MemoryRegistry], None]:
    """Set the answers to requests that move a tag. After `done`, the registry moves the tag before it answers."""

    def install(registry: MemoryRegistry) -> None:
        left = list(answers)

        def answer(request: Request, number: int) -> Response | None:
            if request.method != "PUT" or not registry.asked[number - 1].endswith(f" {tag}") or not left:
                return None
            end = left.pop(0)
            if end == "done":
                registry._put(request, tag)
                end = left.pop(0)
            if isinstance(end, NoResponse):
                raise end
            assert isinstance(end, Response)
            return end

        registry.answer = answer

    return install


@pytest.mark.parametrize(
    ("answers", "kind", "moves"),
    [
        ([refusal(403)], BuildFailed, TagMoves(moved=TAGS[:1], unmoved=TAGS[1:])),
        ([refusal(500)] * 9, BuildFailed, TagMoves(moved=TAGS[:1], unmoved=TAGS[1:])),
        ([refusal(504)] * 9, Unreachable, TagMoves(moved=TAGS[:1], unsure=TAGS[1:2], unmoved=TAGS[2:])),
        ([LATE], Unreachable, TagMoves(moved=TAGS[:1], unsure=TAGS[1:2], unmoved=TAGS[2:])),
        ([LOST] * 9, Unreachable, TagMoves(moved=TAGS[:1], unsure=TAGS[1:2], unmoved=TAGS[2:])),
    ],
)
def test_what_failed_says_what_became_of_each_tag(
    answers: list[Response | NoResponse], kind: type[MpbakeError], moves: TagMoves
) -> None:
    registry, sources = two_platforms()
    at("r/web:2", *answers)(registry)
    with pytest.raises(kind) as caught:
        TagPublisher(client=client_of(registry)).publish(Publish(target=web()), sources)
    assert caught.value.moves == moves
    first, second = caught.value.message.splitlines()
    assert first.startswith("cannot move the tag r/web:2: docker.io")
    assert second == str(moves)


@pytest.mark.parametrize("end", [LATE, refusal(504), refusal(500)])
def test_a_tag_that_moved_although_the_answer_was_lost_has_moved(end: NoResponse | Response) -> None:
    registry, sources = two_platforms()
    at("r/web:2", "done", *[end] * 9)(registry)
    (digest,) = sources["r/web"]
    assert TagPublisher(client=client_of(registry)).publish(Publish(target=web()), sources) == digest


def test_a_tag_that_may_not_be_moved_and_names_the_image_already_is_right() -> None:
    registry, sources = two_platforms()
    registry.manifests["r/web:2"] = registry.manifests[f"r/web@{sources['r/web'][0]}"]
    at("r/web:2", refusal(400, "TAG_IMMUTABLE"))(registry)
    TagPublisher(client=client_of(registry)).publish(Publish(target=web()), sources)


def test_a_tag_that_named_the_image_before_it_was_moved_is_told_as_moved() -> None:
    registry, sources = two_platforms()
    registry.manifests["s/web:1"] = registry.manifests[f"s/web@{sources['s/web'][0]}"]
    at("r/web:1", refusal(403))(registry)
    with pytest.raises(BuildFailed, match=r"moved: s/web:1; not moved: r/web:1, r/web:2\n"):
        TagPublisher(client=client_of(registry)).publish(Publish(target=web()), sources)


def test_a_registry_that_cannot_be_asked_settles_nothing() -> None:
    registry, sources = two_platforms()

    def answer(request: Request, _: int) -> Response | None:
        if request.method in {"PUT", "HEAD"}:
            raise LOST
        return None

    registry.answer = answer
    with pytest.raises(Unreachable, match=r"moved: none; may have moved: r/web:1; not moved: r/web:2, s/web:1\n"):
        TagPublisher(client=client_of(registry)).publish(Publish(target=web()), sources)


def test_a_run_that_is_cancelled_knows_which_tag_was_about_to_move() -> None:
    registry, sources = two_platforms()

    def answer(_: Request, number: int) -> Response | None:
        if registry.asked[number - 1] == "PUT r/web:2":
            raise Cancelled("cancelled")
        return None

    registry.answer = answer
    with pytest.raises(Cancelled) as caught:
        TagPublisher(client=client_of(registry)).publish(Publish(target=web()), sources)
    assert caught.value.moves == TagMoves(moved=TAGS[:1], unsure=TAGS[1:2], unmoved=TAGS[2:])


def test_the_tags_of_all_that_moves_together_are_told() -> None:
    base = target_of_text("[targets.web]\ntags = ['r/base:1']")
    registry, sources = two_platforms()
    at("r/web:1", refusal(403))(registry)
    target = web()
    with pytest.raises(BuildFailed, match="moved: r/base:1; not moved: r/web:1, r/web:2, s/web:1\n"):
        TagPublisher(client=client_of(registry)).publish(Publish(target=target, order=(base, target)), sources)


def test_what_was_pushed_and_is_gone_moves_no_tag() -> None:
    registry = MemoryRegistry()
    missing = f"sha256:{'0' * 64}"
    with pytest.raises(BuildFailed, match=r"^cannot read the pushed images of web: docker\.io answers 404 ") as caught:
        TagPublisher(client=client_of(registry)).publish(
            Publish(target=web()), {"r/web": [missing], "s/web": [missing]}
        )
    assert caught.value.moves == TagMoves(unmoved=TAGS)
    assert registry.asked == [f"GET r/web@{missing}"]


NO_LOGIN = BuildFailed("docker-credential-x get r: it does not print JSON", hint="run `docker login`")


class BrokenHelper(Credentials):
    """Credentials whose helper always fails."""

    def __init__(self) -> None:
        super().__init__({}, lambda *_: failed("no helper"))

    def login(self, *_: object) -> NoReturn:
        """Raise the error of the helper."""
        raise NO_LOGIN


def unauthorized_at(*requests: str) -> Callable[[MemoryRegistry], None]:
    """Let a registry answer some requests, such as `PUT r/web:2`, with 401 and a challenge."""
    challenge = Response(status=401, headers={"www-authenticate": 'Basic realm="r"'})

    def install(registry: MemoryRegistry) -> None:
        before = registry.answer

        def answer(request: Request, number: int) -> Response | None:
            response = before(request, number)
            return challenge if response is None and registry.asked[number - 1] in requests else response

        registry.answer = answer

    return install


@pytest.mark.parametrize(
    ("answers", "asks", "line", "moves"),
    [
        ([], ["PUT r/web:2"], str(NO_LOGIN.message), TagMoves(moved=TAGS[:1], unmoved=TAGS[1:])),
        ([refusal(403)], ["PUT r/web:2", "HEAD s/web:1"], "403", TagMoves(moved=TAGS[:1], unmoved=TAGS[1:])),
        ([refusal(504)], ["PUT r/web:2"], "JSON", TagMoves(moved=TAGS[:1], unsure=TAGS[1:2], unmoved=TAGS[2:])),
        ([LATE], ["HEAD r/web:2"], "in time", TagMoves(moved=TAGS[:1], unsure=TAGS[1:2], unmoved=TAGS[2:])),
    ],
)
def test_a_login_that_cannot_be_read_hides_no_tag_that_moved(
    answers: list[Response | NoResponse], asks: list[str], line: str, moves: TagMoves
) -> None:
    registry, sources = two_platforms()
    at("r/web:2", *answers)(registry)
    unauthorized_at(*asks)(registry)
    client = replace(client_of(registry), authorization=Authorization(registry, BrokenHelper()))
    with pytest.raises(MpbakeError) as caught:
        TagPublisher(client=client).publish(Publish(target=web()), sources)
    first, second = caught.value.message.splitlines()
    assert first.startswith("cannot move the tag r/web:2: ")
    assert line in first
    assert (second, caught.value.moves) == (str(moves), moves)
    if not answers:
        assert (type(caught.value), caught.value.hint) == (BuildFailed, NO_LOGIN.hint)


def test_a_pushed_image_that_cannot_be_read_moves_no_tag() -> None:
    registry, sources = two_platforms()
    unauthorized_at(f"GET r/web@{sources['r/web'][0]}")(registry)
    client = replace(client_of(registry), authorization=Authorization(registry, BrokenHelper()))
    with pytest.raises(BuildFailed, match=r"JSON\nmoved: none; not moved: r/web:1, r/web:2, s/web:1\n") as caught:
        TagPublisher(client=client).publish(Publish(target=web()), sources)
    assert caught.value.moves == TagMoves(unmoved=TAGS)


def test_a_pushed_piece_that_is_no_image_moves_no_tag() -> None:
    registry, sources = two_platforms()
    strange = registry.add("r/web", Manifest(content=b"[]", media_type=INDEX))
    sources["r/web"].append(strange)
    with pytest.raises(BuildFailed, match=r"invalid manifest: .*\nmoved: none; not moved: ") as caught:
        TagPublisher(client=client_of(registry)).publish(Publish(target=web()), sources)
    assert caught.value.moves == TagMoves(unmoved=TAGS)
