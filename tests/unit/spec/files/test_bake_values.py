"""Bake files after `-f`: the files of docker/metadata-action."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.plans import problems_of_files, resolve_files, target_of_text, text

if TYPE_CHECKING:
    from pathlib import Path

PLAN = """
    [targets._docker-metadata-action]
    tags = ["web:dev"]
    labels = { team = "core" }
    annotations = ["a=1"]
    [targets.web]
    inherits = ["_docker-metadata-action"]
    args = { A = 1 }
    """


def meta(**attributes: Any) -> str:
    return json.dumps({"target": {"docker-metadata-action": attributes}})


def test_the_files_of_metadata_action_give_values_to_the_hook(tmp_path: Path) -> None:
    files = {
        "build.toml": PLAN,
        "tags.json": meta(tags=["ghcr.io/o/web:1.0", "ghcr.io/o/web:latest"], args={"DOCKER_META_VERSION": "1.0"}),
        "labels.json": meta(labels={"version": "1.0", "none": None}),
        "annotations.json": meta(annotations=["manifest:title=web"]),
    }
    web = resolve_files(tmp_path, files, *files).targets["web"]
    assert web.tags == ("ghcr.io/o/web:1.0", "ghcr.io/o/web:latest")
    assert web.attributes["args"] == {"DOCKER_META_VERSION": "1.0", "A": "1"}
    assert web.attributes["labels"] == {"team": "core", "version": "1.0"}
    assert web.attributes["annotations"] == ["manifest:title=web"]


@pytest.mark.parametrize("hook", ["docker-metadata-action", "_docker-metadata-action"])
def test_a_hook_is_a_target_or_a_template(tmp_path: Path, hook: str) -> None:
    files = {"build.toml": PLAN.replace("_docker-metadata-action", hook), "meta.json": meta(tags=["web:1"])}
    assert resolve_files(tmp_path, files, *files).targets["web"].tags == ("web:1",)


def test_a_text_of_a_bake_file_is_never_a_template(tmp_path: Path) -> None:
    texts = ["{{ 7 * 7 }}", "{% for x in y %}", "{# x #}", "{{{%", "{{", "${upper(1)} $${x}", "a\nb {{ 1 }}\n"]
    files = {"build.toml": PLAN, "meta.json": meta(labels={str(index): text for index, text in enumerate(texts)})}
    labels = resolve_files(tmp_path, files, *files).targets["web"].attributes["labels"]
    assert [labels[str(index)] for index in range(len(texts))] == texts


TAGS = ["ghcr.io/o/web:1.0", "ghcr.io/o/web:latest"]
LABELS = {"org.opencontainers.image.title": "web", "org.opencontainers.image.description": "a, b = {{ c }}"}
ANNOTATIONS = [f"manifest:{name}={value}" for name, value in LABELS.items()]


@pytest.mark.parametrize(
    ("variables", "prefix", "environment"),
    [
        (
            """
            tags = { type = "list", env = "DOCKER_METADATA_OUTPUT_TAGS" }
            labels = { type = "map", env = "DOCKER_METADATA_OUTPUT_LABELS" }
            annotations = { type = "list", env = "DOCKER_METADATA_OUTPUT_ANNOTATIONS" }
            """,
            "",
            {
                "DOCKER_METADATA_OUTPUT_TAGS": "\n".join(TAGS),
                "DOCKER_METADATA_OUTPUT_LABELS": "\n".join(f"{name}={value}" for name, value in LABELS.items()),
                "DOCKER_METADATA_OUTPUT_ANNOTATIONS": "\n".join(ANNOTATIONS),
            },
        ),
        (
            'meta = { type = "map", env = "DOCKER_METADATA_OUTPUT_JSON" }',
            "meta.",
            {
                "DOCKER_METADATA_OUTPUT_JSON": json.dumps(
                    {"tags": TAGS, "labels": LABELS, "annotations": ANNOTATIONS}, indent=2
                )
            },
        ),
    ],
)
def test_the_variables_of_metadata_action(variables: str, prefix: str, environment: dict[str, str]) -> None:
    plan = f"""
        [variables]
        {variables}
        [targets.web]
        tags = "{{{{ {prefix}tags }}}}"
        labels = "{{{{ {prefix}labels }}}}"
        annotations = "{{{{ {prefix}annotations }}}}"
        """
    web = target_of_text(plan, environment=environment)
    assert list(web.tags) == TAGS
    assert (web.attributes["labels"], web.attributes["annotations"]) == (LABELS, ANNOTATIONS)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"target": ', "meta.json:1: is not JSON: Expecting value"),
        ("[]", "meta.json: must be a table: { … }"),
        (
            '{"target": {}, "target": {}}',
            "meta.json: is not JSON that a plan can use: a key occurs twice in a table",
        ),
        (r'{"\ud800": {}}', "meta.json: is not JSON that a plan can use: it contains half a character (a surrogate)"),
        ("[" * 100_000, "meta.json: is not JSON that a plan can use: nested too deep"),
        ('{"group": {}}', "meta.json: group: a bake file after -f can contain only `target`"),
        ('{"target": []}', "meta.json: target: must be a table of targets"),
        (
            '{"target": {"web2": {}}}',
            (
                'meta.json: target.web2: the plan has no target or template "web2"\n'
                "  = add [targets._web2], and inherit it in the targets that need its values"
            ),
        ),
        (
            '{"target": {"web": {"output": ["."]}}}',
            (
                'meta.json: target.web.output: a bake file after -f cannot set "output"\n'
                "  = put it into the plan: a bake file can set tags, labels, annotations, args"
            ),
        ),
        ('{"target": {"web": {"tags": ["A"]}}}', 'meta.json: targets.web.tags[0]: "A" is not an image name'),
        ('{"target": {"web": {"tags": "a"}}}', "meta.json: targets.web.tags: must be a list in square brackets"),
    ],
)
def test_a_wrong_bake_file(tmp_path: Path, content: str, problem: str) -> None:
    files = {"build.toml": PLAN, "meta.json": content}
    problems = problems_of_files(tmp_path, files, *files)
    assert problems.startswith(problem)
    assert problems.count("meta.json") == 1


def test_a_bake_file_needs_a_plan_before_it(tmp_path: Path) -> None:
    files = {"meta.json": meta(tags=["web:1"]), "build.toml": PLAN}
    assert problems_of_files(tmp_path, files, *files) == text("""
        meta.json: is JSON: the first -f must be a plan in TOML
          = name the plan first: -f build.toml -f meta.json; to make a plan of a bake file: mpbake import FILE
    """)


def test_a_plan_cannot_include_a_bake_file(tmp_path: Path) -> None:
    files = {"build.toml": '\ninclude = ["meta.json"]', "meta.json": meta()}
    assert problems_of_files(tmp_path, files) == text("""
        build.toml:2: include[0]: meta.json is not a plan
            include = ["meta.json"]
          = name a bake file with -f, after the plan
    """)
