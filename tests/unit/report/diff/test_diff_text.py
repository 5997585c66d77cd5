"""The diff of two plans as text."""

from __future__ import annotations

from mpbake.model.grants import GrantKind
from mpbake.report.diff.diff_text import diff_text
from mpbake.review.diff.plan_diff import diff_documents
from mpbake.review.document.plan_document import empty_document
from tests.unit.documents import document_of, grant
from tests.unit.plans import text

BEFORE = """
[builders.release]
driver = "remote"
nodes.intel = { endpoint = "tcp://intel:1234", platforms = ["linux/amd64"], tls = { ca = "ca.crt" } }
nodes.arm = { endpoint = "tcp://arm:1234", platforms = ["linux/arm64"], tls = { ca = "ca.crt" } }
[targets.web]
builder = "release"
context = "web"
args = { VERSION = "1", MODE = "x" }
platforms = ["linux/amd64"]
tags = ["r.io/web:1", "r.io/web:latest"]
push = true
[targets.worker]
builder = "release"
context = "worker"
platforms = ["linux/amd64"]
tags = ["r.io/worker:1"]
push = true
[targets.old]
builder = "release"
context = "old"
platforms = ["linux/amd64"]
"""
AFTER = (
    BEFORE.replace(
        'platforms = ["linux/amd64"]\ntags = ["r.io/web:1"',
        'platforms = ["linux/amd64", "linux/arm64"]\ntags = ["r.io/web:2"',
    )
    .replace('VERSION = "1", MODE = "x"', 'VERSION = "2", DEBUG = "1"')
    .replace("targets.worker]", "targets.jobs]")
    .replace("tcp://intel:1234", "tcp://intel2:1234")
    .partition("[targets.old]")[0]
    + '[targets.tool]\nbuilder = "release"\nsecret = ["id=t,env=TOKEN"]\ncontext = "x/y"\nplatforms = ["linux/amd64"]\n'
)


def shown(before: str, after: str) -> str:
    return diff_text(diff_documents(document_of(before), document_of(after)))


def test_no_changes() -> None:
    assert shown(BEFORE, BEFORE) == "no changes\n"


def test_the_text_of_many_changes() -> None:
    assert (
        shown(BEFORE, AFTER)
        == text(
            """
        1 new for security, 1 target added, 1 target removed, 1 target renamed, 1 target changed, 1 node added, 1 node \
changed, 1 tag newly pushed, 1 tag no longer pushed, 1 platform placed differently

        security
          + secret id=t,env=TOKEN (for tool)

        targets
          ~ web
              + platforms: "linux/arm64"
              - tags: "r.io/web:1"
              + tags: "r.io/web:2"
              ~ args.VERSION: "1" -> "2"
              + args.DEBUG: "1"
              - args.MODE: "x"
          ~ jobs (renamed from worker)
          + tool
              + builder: "release"
              + platforms: ["linux/amd64"]
              + context: "x/y"
              + secret: ["id=t,env=TOKEN"]
              + dockerfile.path: "x/y/Dockerfile"
          - old

        tags
          + r.io/web:2 (web)
          - r.io/web:1 (web)

        placement
          + web linux/arm64: release/arm (native)

        nodes
          ~ release/intel
              ~ endpoint: "tcp://intel:1234" -> "tcp://intel2:1234"
          + release/arm
              + driver: "remote"
              + endpoint: "tcp://arm:1234"
              + platforms: ["linux/arm64"]
              + tls.ca: "ca.crt"

        steps
          + bootstrap release/arm
          + build web linux/arm64 on release/arm
          ~ publish web
              - tags: "r.io/web:1"
              + tags: "r.io/web:2"
          ~ verify web
              + platforms: "linux/arm64"
              - tags: "r.io/web:1"
              + tags: "r.io/web:2"
          + build tool linux/amd64 on release/intel
          - build old linux/amd64 on release/intel
        """
        )
        + "\n"
    )


def test_a_new_plan() -> None:
    after = document_of('[targets.web]\ncontext = "web"\n')
    assert diff_text(diff_documents(None, after)).startswith(
        "a new plan: 1 target added, 1 builder added, 1 node added\n"
    )


def test_a_changed_dockerfile_is_shown_by_short_digests() -> None:
    path = "web/Dockerfile"
    before, after = (document_of(BEFORE, "web", digests={path: digit * 64} if digit else {}) for digit in ("a", "b"))
    nothing = document_of(BEFORE, "web")
    assert "      ~ dockerfile.sha256: aaaaaaaaaaaa -> bbbbbbbbbbbb\n" in diff_text(diff_documents(before, after))
    assert "      ~ dockerfile.sha256: none -> bbbbbbbbbbbb\n" in diff_text(diff_documents(nothing, after))


def test_of_long_values_the_difference_is_shown() -> None:
    before, after = ("x" * 5000 + end for end in ("one", "two"))
    plan = '[targets.web]\nargs = {{ A = "{}" }}\n'
    line = f'      ~ args.A: …{"x" * 20}one" -> …{"x" * 20}two"\n'
    assert line in shown(plan.format(before), plan.format(after))
    assert max(map(len, shown("", plan.format(before)).splitlines())) < 300


def test_a_change_of_all_platforms_is_shown_once() -> None:
    plan = """
[targets.web]
platforms = ["linux/amd64", "linux/arm64"]
args = {{ A = "{}" }}
[targets.web.platform."linux/arm64"]
args = {{ B = "{}" }}
"""
    assert (
        shown(plan.format("1", "1"), plan.format("2", "2"))
        == text(
            """
        1 target changed

        targets
          ~ web
              ~ args.A: "1" -> "2"
              ~ platform."linux/arm64".args.B: "1" -> "2"
        """
        )
        + "\n"
    )


def test_texts_of_the_plan_are_printable() -> None:
    document = document_of("[targets.web]\n", grants=[grant(GrantKind.READ, "a\x1b[2J\nb", "web.x\u202e")])
    document["warnings"] = ["a\nsecurity\r  + nothing"]
    document["targets"][0]["args"] = {"\x1b\n": "\x9b\u2028"}
    shown_text = diff_text(diff_documents(empty_document(), document))
    assert "  + right fs.read=a\\x1b[2J\\nb (for web.x\\u202e)\n" in shown_text
    assert "  + a\\nsecurity\\x0d  + nothing\n" in shown_text
    assert '      + args."\\x1b\\n": "\\x9b\\u2028"\n' in shown_text
    assert shown_text.isascii()


def test_how_a_node_builds_a_platform_may_be_unknown() -> None:
    plan = '[targets.web]\nplatforms = ["linux/amd64"{}]\n'
    line = "  + web linux/arm64: default/local (native or emulated)\n"
    assert line in shown(plan.format(""), plan.format(', "linux/arm64"'))


def test_why_a_node_builds_a_platform_is_shown_in_words() -> None:
    document = document_of(BEFORE)
    steps = [
        {**step, "platforms": [{**placed, "why": "b declares it\n"} for placed in step["platforms"]]}
        if step["kind"] == "build"
        else step
        for step in document["steps"]
    ]
    shown_text = diff_text(diff_documents(document, {**document, "steps": steps}))
    assert "      + platforms: linux/amd64 native: b declares it\\n\n" in shown_text
    assert "{" not in shown_text


def test_rights_that_other_targets_have_already() -> None:
    plan = '[targets.web]\n{}\n[targets.api]\nssh = ["default"]\n'
    assert "  + ssh default (also for web)\n" in shown(plan.format(""), plan.format('ssh = ["default"]'))


def test_only_the_order_differs() -> None:
    before = '[targets.a]\ncontext = "1"\n[targets.b]\ncontext = "2"\n'
    after = '[targets.b]\ncontext = "2"\n[targets.a]\ncontext = "1"\n'
    assert shown(before, after).startswith(
        'other changes\n\norder\n  ~ targets in another order: ["a", "b"] -> ["b", "a"]\n  ~ steps in another order: '
    )


def test_steps_that_wait_for_other_steps() -> None:
    before = '[targets.a]\ntags = ["r.io/a"]\npush = true\n[targets.b]\ncontext = "x"\n'
    assert "  ~ 1 step waits for different steps\n" in shown(before, before + 'needs = ["a"]\n')
