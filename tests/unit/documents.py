"""Plan documents of plans in text form, and generated ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from mpbake.model.grants import Grant, GrantKind
from mpbake.review.document.plan_document import plan_document, plan_id
from tests.unit.graphs import graph_of_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Document = dict[str, Any]
    """A plan document."""


def document_of(
    toml: str,
    *names: str,
    grants: Iterable[Grant] = (),
    warnings: Iterable[str] = (),
    digests: Mapping[str, str] | None = None,
) -> Document:
    """Return the plan document of a plan. `digests` are the digests of Dockerfiles, by path."""
    known = digests or {}
    graph = graph_of_text(toml, *names)
    return plan_document(graph, tuple(grants), tuple(warnings), lambda path: known.get(path, ""), str)


def grant(kind: GrantKind, value: str, *users: str) -> Grant:
    """Return a grant that `users` need."""
    return Grant(kind=kind, value=value, users=users)


# --- generated documents ----------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["web", "api", "db", "x/y", "a.b", "@all"])
TEXTS = st.sampled_from(["", "a", "b", "id=t,env=T", "target:web", "`", "\n"])
LISTS = st.lists(TEXTS, max_size=3)
SCALARS = st.one_of(TEXTS, st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, 1.0, 2.5]))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=4,
)
"""JSON values without null. 1, 1.0 and true occur, which Python takes for equal."""


@st.composite
def variants(draw: st.DrawFn) -> Document:
    """Generate the attributes that can differ between platforms."""
    attributes = draw(st.dictionaries(TEXTS, VALUES, max_size=2))
    attributes |= draw(st.fixed_dictionaries({}, optional=dict.fromkeys(("secret", "ssh", "entitlements"), LISTS)))
    return {
        "args": draw(st.dictionaries(TEXTS, TEXTS, max_size=2)),
        "labels": draw(st.dictionaries(TEXTS, TEXTS, max_size=2)),
        "contexts": draw(st.dictionaries(TEXTS, TEXTS, max_size=2)),
        "attributes": attributes,
        "dockerfile": {"path": draw(TEXTS), "sha256": draw(TEXTS)},
    }


@st.composite
def targets(draw: st.DrawFn) -> Document:
    """Generate a target."""
    return {
        "name": draw(NAMES),
        "builder": draw(NAMES),
        **draw(variants()),
        "variants": draw(st.dictionaries(st.sampled_from(["linux/amd64", "linux/arm64"]), variants(), max_size=2)),
        "needs": draw(st.lists(NAMES, max_size=2)),
        "tags": draw(LISTS),
        "push": draw(st.booleans()),
        "retries": draw(st.integers(0, 2)),
    }


@st.composite
def builders(draw: st.DrawFn) -> Document:
    """Generate a builder."""
    name = draw(NAMES)
    ids = draw(st.lists(st.sampled_from("abc"), max_size=2, unique=True))
    nodes = [{"id": f"{name}/{node}", "endpoint": draw(TEXTS), "options": draw(VALUES)} for node in ids]
    return {"name": name, "driver": draw(TEXTS), "nodes": nodes}


@st.composite
def steps(draw: st.DrawFn) -> Document:
    """Generate a step. Its key need not suit its other values: a saved plan can hold anything."""
    kind = draw(st.sampled_from(["bootstrap", "build", "publish", "verify"]))
    step: Document = {"key": f"{kind} {draw(NAMES)}", "kind": kind, "after": draw(LISTS)}
    if kind == "bootstrap":
        return {**step, "node": draw(NAMES)}
    step["target"] = draw(NAMES)
    if kind == "build":
        placed = st.fixed_dictionaries({"platform": TEXTS, "how": TEXTS})
        step |= {"nodes": draw(LISTS), "spare": draw(LISTS), "platforms": draw(st.lists(placed, max_size=2))}
    return {**step, "tags": draw(LISTS)} if kind == "publish" else step


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Generate a plan document. Names are unique."""

    def unique(items: st.SearchStrategy[Document], key: str) -> list[Document]:
        return draw(st.lists(items, max_size=2, unique_by=lambda item: item[key]))

    users = st.fixed_dictionaries({"allow": TEXTS, "users": st.lists(NAMES, max_size=2, unique=True)})
    uses = st.fixed_dictionaries({"name": TEXTS, "uses": st.lists(TEXTS, max_size=2, unique=True)})
    document = {
        "format": 2,
        "grants": unique(users, "allow"),
        "registries": unique(uses, "name"),
        "builders": unique(builders(), "name"),
        "targets": unique(targets(), "name"),
        "steps": unique(steps(), "key"),
        "warnings": draw(LISTS),
    }
    return {**document, "id": plan_id(document)}
