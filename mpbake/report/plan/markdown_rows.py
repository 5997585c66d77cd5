"""The rows of the tables in a plan as Markdown: every text of the plan is code. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from mpbake.base.text import count, duration, shortened
from mpbake.model.plan import Emulation
from mpbake.report.markdown import code
from mpbake.report.plan import probe_rows
from mpbake.report.plan.settings import every_setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mpbake.model.steps import StepVerb
    from mpbake.review.document.plan_document import Document
    from mpbake.review.remarks import Remark

    Row = list[str]

_LONGEST = 300
_MOST_ENTRIES = 12
_BREAK = "<br>"
_USUAL_EMULATION = str(Emulation.WARN)
_HOW = {"native": "native", "emulated": "**EMULATED**", "unknown": "(native or emulated: not known yet)"}


def short(text: str) -> str:
    """Shorten a text for a cell or a line."""
    return shortened(text, _LONGEST)


def _listed(texts: Sequence[str], separator: str = ", ") -> str:
    """Return texts as code, and the number of those that are left out."""
    more = [f"… and {len(texts) - _MOST_ENTRIES} more"] if len(texts) > _MOST_ENTRIES else []
    return separator.join([*(code(short(text)) for text in texts[:_MOST_ENTRIES]), *more])


# --- the summary ------------------------------------------------------------------------------------------------------


def summary(document: Document) -> str:
    """Return one line: how much is built, where and how, and what is published."""
    builds = [step for step in document["steps"] if step["kind"] == "build"]
    nodes = sum(len(builder["nodes"]) for builder in document["builders"])
    tags = sum(len(step["tags"]) for step in document["steps"] if step["kind"] == "publish")
    pushed = [registry["name"] for registry in document["registries"] if "push" in registry["uses"]]
    expected = document.get("expected", {})
    parts = [
        count(sum(not target["only_linked"] for target in document["targets"]), "target"),
        count(nodes, "node"),
        *_platforms(builds),
        count(tags, "tag") if tags else "nothing is published",
        *([f"to {_listed(pushed)}"] if pushed else []),
        *([f"about {duration(expected['seconds'])}"] if expected else []),
    ]
    return " · ".join(parts)


def _platforms(builds: Iterable[Document]) -> list[str]:
    """Return each way of building with its platforms, such as `linux/amd64` native."""
    by_how: dict[str, dict[str, None]] = {}
    for build in builds:
        for placed in build["platforms"]:
            by_how.setdefault(placed["how"], {})[placed["platform"]] = None
    order = sorted(by_how, key=list(_HOW).index)
    return [f"{_listed(list(by_how[how]))} {_HOW[how]}" for how in order]


# --- what is unusual, targets and nodes -------------------------------------------------------------------------------


def remark_row(remark: Remark) -> Row:
    """Return the row of a remark: its kind, its subjects, and what it says."""
    return [f"**{remark.kind}**", _listed(remark.subjects), code(shortened(remark.text, 4 * _LONGEST))]


def target_rows(document: Document) -> Iterator[Row]:
    """Yield a row for each target: how its platforms are built, and what comes of them."""
    pieces: dict[str, list[Document]] = {}
    for step in document["steps"]:
        if step["kind"] == "build":
            pieces.setdefault(step["target"], []).append(step)
    for target in document["targets"]:
        built = _BREAK.join(_built(piece) for piece in pieces.get(target["name"], ()))
        results = "for targets that link to it" if target["only_linked"] else _results(target)
        yield [code(short(target["name"])), built or "with targets that link to it", results]


def _built(piece: Document) -> str:
    first, *others = piece["nodes"]
    how = {placed["how"] for placed in piece["platforms"]}
    names = [placed["platform"] for placed in piece["platforms"]]
    where = f"on {code(first)}" + (f" or {count(len(others), 'equal node')}" if others else "")
    if not names:
        return f"the node's own platform {where}"
    if len(how) == 1:
        return f"{_listed(names)} {_HOW[how.pop()]} {where}"
    return ", ".join(f"{code(placed['platform'])} {_HOW[placed['how']]}" for placed in piece["platforms"]) + f" {where}"


def _results(target: Document) -> str:
    parts = [code(short(tag)) for tag in target["tags"][:_MOST_ENTRIES]] if target["push"] else []
    parts += [f"… and {len(target['tags']) - _MOST_ENTRIES} more"] if len(target["tags"]) > len(parts) > 0 else []
    parts += [f"output {code(short(output))}" for output in target["outputs"]]
    parts += ["loaded into the engine in use"] if target["load"] else []
    parts += ["checked"] if target["checks"] else []
    return _BREAK.join(parts) or "not pushed"


def node_row(builder: Document, node: Document) -> Row:
    """Return the row of a node of a builder."""
    settings = [f"{name}={value}" for name, value in (*node["options"].items(), *node["tls"].items())]
    settings += [*node["flags"]]
    settings += [f"{name}={node[name]}" for name in ("slots", "required", "insecure", "config_file") if node[name]]
    settings += [f"emulation={builder['emulation']}"] if builder["emulation"] != _USUAL_EMULATION else []
    return [
        code(node["id"]),
        code(node["driver"]),
        code(short(node["endpoint"])) if node["endpoint"] else "the engine in use",
        _listed(node["platforms"]) or "those that it reports",
        _listed(settings, _BREAK),
    ]


def setting_rows(document: Document) -> Iterator[Row]:
    """Yield a row for each setting of a target. A setting that differs between platforms names its platform."""
    for target in document["targets"]:
        by_platform = {name: _settings(variant) for name, variant in target["variants"].items()}
        every = [_settings(target), *by_platform.values()]
        common = [setting for setting in every[0] if all(setting in settings for settings in every)]
        subject = code(short(target["name"]))
        yield from ([subject, *setting] for setting in common)
        for platform, settings in by_platform.items():
            yield from ([f"{subject} {code(platform)}", *setting] for setting in settings if setting not in common)


def _settings(variant: Document) -> list[Row]:
    """Return the settings of a target or of one of its platforms, with the digest of the Dockerfile."""
    settings = [[code(short(name)), code(short(value))] for name, value in every_setting(variant)]
    dockerfile = variant["dockerfile"]
    digest = f"{code(short(dockerfile['path']))} {code('sha256:' + dockerfile['sha256'])}"
    return [*settings, *([["digest of the Dockerfile", digest]] if dockerfile["sha256"] else [])]


# --- steps ------------------------------------------------------------------------------------------------------------


def step_rows(document: Document) -> Iterator[Row]:
    """Yield a row for each step: its number, kind, subject and details, and the numbers of the steps before."""
    numbers = {step["key"]: number for number, step in enumerate(document["steps"], 1)}
    for step in document["steps"]:
        after = ", ".join(str(numbers[key]) for key in step["after"][:_MOST_ENTRIES])
        more = f" and {len(step['after']) - _MOST_ENTRIES} more" if len(step["after"]) > _MOST_ENTRIES else ""
        subject = step["node"] if step["kind"] == "bootstrap" else step["target"]
        yield [str(numbers[step["key"]]), step["kind"], code(short(subject)), _details(step), after + more]


def _details(step: Document) -> str:
    verb: StepVerb = step["kind"]
    match verb:
        case "build":
            return _BREAK.join(_build_details(step))
        case "publish":
            together = ["when every target is built and checked"] if step["together"] else []
            return _BREAK.join([_listed(step["tags"], _BREAK), *together])
        case "verify":
            return f"{_listed(step['platforms']) or 'its platform'}: {count(len(step['tags']), 'tag')}, one digest"
        case "check":
            return (
                f"{_listed(step['platforms'])} {code(short(' '.join(step['run']) or 'stage ' + step['stage']))}".strip()
            )
        case "join":
            return _listed(step["outputs"], _BREAK)
        case "bootstrap":
            return ""
        case _:
            assert_never(verb)


def _build_details(step: Document) -> Iterator[str]:
    yield _built(step)
    yield from dict.fromkeys(code(short(placed["why"])) for placed in step["platforms"])
    if step["spare"]:
        yield f"or **EMULATED** on {_listed(step['spare'])}, if that finishes sooner"
    if step["shared"]:
        yield "into the cache, for targets that link to it"
    elif step["delivery"] == "untagged":
        yield "pushed without a tag"


# --- probe ------------------------------------------------------------------------------------------------------------


def tag_row(tag: Document) -> Row:
    """Return the row of a tag that the run moves."""
    return [code(short(tag["tag"])), "new" if tag["state"] == "new" else code(short(probe_rows.tag_text(tag)))]


def probed_rows(document: Document) -> Iterator[Row]:
    """Yield the row of each probed node."""
    yield from ([code(short(cell)) for cell in row] for row in probe_rows.node_rows(document))


def change_rows(document: Document) -> list[Row]:
    """Return a row for each change of a builder."""
    return [[code(short(cell)) for cell in row] for row in probe_rows.change_rows(document)]
