"""The explanations of all codes in `diagnostics/*.toml`, and `docs/diagnostics.md`, which is generated from them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from mpbake.base.codes import Code, Severity
from mpbake.spec.files.toml_values import parse_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER = "diagnostics"
_PAGE = "page.md"


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """The meaning of a code, with a plan that has only this problem, and a plan without problems.

    Both plans omit the first line, `version = 1`; a Dockerfile is in the same folder. If a plan alone cannot have the
    problem, `advice` replaces the plans.
    """

    text: str
    wrong: str = ""
    right: str = ""
    advice: str = ""


def explanations() -> Mapping[Code, Explanation]:
    """Return the explanation of every code, in the order of the codes."""
    tables = {}
    for path in files(__package__).joinpath(_FOLDER).iterdir():
        if path.name.endswith(".toml"):
            tables.update(parse_toml(path.read_text(encoding="utf-8"), path.name))
    return {code: Explanation(**tables[code]) for code in Code}


def diagnostics_page() -> str:
    """Return `docs/diagnostics.md`: the introduction, then every code with its explanation."""
    introduction = files(__package__).joinpath(_FOLDER, _PAGE).read_text(encoding="utf-8")
    return introduction + "".join(_section(code, explanation) for code, explanation in explanations().items())


def _section(code: Code, explanation: Explanation) -> str:
    kind = "A warning. " if code.severity is Severity.WARNING else ""
    section = f"\n### {code}\n\n{kind}{explanation.text}"
    if explanation.advice:
        return f"{section} {explanation.advice}\n"
    return f"{section}\n\n```toml\n# wrong\n{explanation.wrong}```\n\n```toml\n# right\n{explanation.right}```\n"
