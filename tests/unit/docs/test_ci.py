"""The workflows, the pipeline and the hook on the page about CI, which others copy."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from mpbake import __version__
from tests.checkout import CHECKOUT, DOCS
from tests.unit.docs.pages import blocks_of

PAGE = DOCS / "ci.md"
DOCUMENTS = [yaml.safe_load(block) for block in blocks_of(PAGE, "yaml")]
WORKFLOWS = [document for document in DOCUMENTS if "jobs" in document]
ACTION = yaml.safe_load((CHECKOUT / "action.yml").read_text())
SPEC, _ = yaml.safe_load_all((CHECKOUT / "templates/mpbake.yml").read_text())
COMPONENT = SPEC["spec"]["inputs"]
(HOOK,) = yaml.safe_load((CHECKOUT / ".pre-commit-hooks.yaml").read_text())


def steps_in(document: Any) -> list[dict[str, Any]]:
    jobs = document["jobs"].values() if "jobs" in document else [{"steps": document}]
    return [step for job in jobs for step in job["steps"]]


STEPS = [
    step for document in DOCUMENTS if isinstance(document, list) or "jobs" in document for step in steps_in(document)
]


def table(heading: str) -> dict[str, list[str]]:
    """Return the rows of the table under a row of headings, by the names in their first cells."""
    rows = PAGE.read_text(encoding="utf-8").partition(f"\n| {heading} |")[2].split("\n\n", 1)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
    return {name: row[1:] for row in cells for name in re.findall(r"`([\w-]+)`", row[0])}


def test_the_page_lists_every_input_with_its_default() -> None:
    listed = table("input | default | means")
    assert listed.keys() == ACTION["inputs"].keys()
    for name, (default, *_) in listed.items():
        real = str(ACTION["inputs"][name].get("default", ""))
        if default.startswith("`") and name != "file":
            assert default == f"`{real}`"
        else:
            assert real in {"", "${{ github.token }}"}


def test_the_page_lists_every_output() -> None:
    assert table("output | after | is").keys() == ACTION["outputs"].keys()


def test_the_page_lists_every_input_of_the_component() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## The GitLab component")[2]
    rows = re.findall(r"^\| (`[^|]*) \| (?:([^|]*) )?\|", text.partition("\n- ")[0], re.MULTILINE)
    listed = {name: default for names, default in rows for name in re.findall(r"`([\w-]+)`", names)}
    assert listed.keys() == COMPONENT.keys()
    assert {name for name, entry in COMPONENT.items() if "default" not in entry} == {"package"}
    for name in ("job-prefix", "image", "review", "run-on"):
        assert listed[name] == f"`{COMPONENT[name]['default']}`"


def test_the_steps_use_the_action_as_it_is() -> None:
    own = [step for step in STEPS if step.get("uses", "").startswith("OWNER/mpbake@")]
    assert len(own) >= 5
    for step in own:
        assert step["uses"] == f"OWNER/mpbake@v{__version__}"
        assert step["with"].keys() <= ACTION["inputs"].keys()
        assert step["with"]["command"] in {"check", "plan", "diff", "run"}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow["name"])
def test_workflows_have_few_rights_and_no_expression_in_a_script(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"]["contents"] == "read"
    assert all("${{" not in step.get("run", "") for step in steps_in(workflow))


def test_the_pipeline_uses_the_component_as_it_is() -> None:
    (pipeline,) = [document for document in DOCUMENTS if "include" in document]
    (component,) = pipeline["include"]
    assert component["inputs"].keys() <= COMPONENT.keys()
    assert component["component"].endswith(f"/mpbake@v{__version__}")
    for name in ("review", "run-on"):
        assert component["inputs"][name] in COMPONENT[name]["options"]


def test_the_hooks_have_the_name_of_the_hook() -> None:
    hooks = [hook for document in DOCUMENTS if "repos" in document for hook in document["repos"][0]["hooks"]]
    hooks += [entry for document in DOCUMENTS if isinstance(document, list) for entry in document if "id" in entry]
    named = [hook["id"] for hook in hooks if "uses" not in hook]
    assert named == [HOOK["id"]] * 2
