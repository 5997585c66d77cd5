"""The result of `mpbake import` as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mpbake.base.codes import Code
from mpbake.base.errors import Diagnostic, Location
from mpbake.conversion.comparison import Difference, Subject
from mpbake.conversion.plan.conversion import Conversion, Frozen, FrozenKey, Note, NoteKind
from mpbake.conversion.proof import Comparison, Proof, Verdict
from mpbake.conversion.syntax import Literal, Place
from mpbake.conversion.variations import Variation
from mpbake.report.importing.import_json import import_json
from mpbake.report.importing.import_report import ImportReport
from mpbake.report.importing.import_text import import_text

PLACE = Place(file="docker-bake.hcl", line=12, column=3)
CONVERSION = Conversion(text="version = 1\n", targets={"web": "web", "api": "api"}, variables={"TAG": "tag"})
TAG = Variation(variable="TAG", value="2")
EMPTY = Variation(variable="TAG", value="")


def report(*comparisons: Comparison, conversion: Conversion = CONVERSION, **values: Any) -> ImportReport:
    proof = Proof(comparisons=comparisons or (Comparison(),), buildx="0.36.0", targets=("web", "api"))
    fields: dict[str, Any] = {"conversion": conversion, "proof": proof, "plan": "build.toml"}
    return ImportReport(**fields | values)


def difference(
    name: str = "web", attribute: str = "tags", original: str = '["a"]', imported: str = '["b"]'
) -> Difference:
    return Difference(subject=Subject.TARGET, name=name, attribute=attribute, original=original, imported=imported)


def test_equal_targets_need_three_lines() -> None:
    assert import_text(report(Comparison(), Comparison(variation=TAG))) == (
        "wrote build.toml\n2 targets: 2 equal (checked with buildx 0.36.0, 1 variable changed)\nnext: mpbake plan\n"
    )


def test_every_part_has_a_heading_and_a_place() -> None:
    notes = (
        Note(kind=NoteKind.LOST, text='the description of the group "all"', place=PLACE),
        Note(kind=NoteKind.RENAMED, text='the target "base" becomes the template "_base"', place=PLACE),
        Note(
            kind=NoteKind.IGNORED, text='the key "foo" of the target "web"', place=Place(file="docker-bake.hcl", line=3)
        ),
    )
    frozen = Frozen(
        key=FrozenKey(block="target", name="web", path=("args", "ID", 0)),
        expression=Literal(value="", text="uuidv4()"),
        reason="its result is random",
        place=PLACE,
        written=True,
    )
    conversion = Conversion(text="", targets=CONVERSION.targets, notes=notes, frozen=(frozen,))
    assert import_text(report(conversion=conversion, plan="")) == (
        "renamed\n"
        '  docker-bake.hcl:12  the target "base" becomes the template "_base"\n'
        "\n"
        "bake ignores this, and the plan does not have it\n"
        '  docker-bake.hcl:3  the key "foo" of the target "web"\n'
        "\n"
        "the plan does not have this\n"
        '  docker-bake.hcl:12  the description of the group "all"\n'
        "\n"
        "frozen: the plan has the value, and the expression as a comment\n"
        "  docker-bake.hcl:12  target web.args.ID[0]: its result is random\n"
        "    uuidv4()\n"
        "\n"
        "2 targets: 2 equal, 1 expression frozen (checked with buildx 0.36.0)\n"
    )


def test_a_difference_shows_both_values_and_when_it_exists() -> None:
    only_with_tag = difference("api", "args.V", "", '"2"')
    text = import_text(
        report(
            Comparison(differences=(difference(),)),
            Comparison(variation=TAG, differences=(difference(imported='["c"]'), only_with_tag)),
            Comparison(variation=EMPTY, differences=(only_with_tag,)),
        )
    )
    assert text == (
        "wrote build.toml\n"
        "\n"
        "different\n"
        "  target web: tags\n"
        '    bake    ["a"]\n'
        '    mpbake  ["b"]\n'
        '  target api: args.V with TAG=2, TAG=""\n'
        "    bake    no value\n"
        '    mpbake  "2"\n'
        "\n"
        "2 targets: 2 different (checked with buildx 0.36.0, 1 variable changed)\n"
        "the plan does not follow every change of TAG\n"
        "next: mpbake plan\n"
    )


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        (Comparison(variation=TAG, bake_error="no"), "  TAG=2: bake refuses this, and the plan does not\n    no\n"),
        (Comparison(variation=TAG, plan_error="no"), "  TAG=2: the plan refuses this, and bake does not\n    no\n"),
    ],
)
def test_a_value_that_only_one_side_refuses_is_a_difference(comparison: Comparison, expected: str) -> None:
    text = import_text(report(Comparison(), comparison))
    assert f"different\n{expected}" in text
    assert "the plan does not follow every change of TAG\n" in text


def test_a_value_that_both_sides_refuse_is_no_change() -> None:
    text = import_text(report(Comparison(), Comparison(variation=TAG, bake_error="no", plan_error="no")))
    assert text == "wrote build.toml\n2 targets: 2 equal (checked with buildx 0.36.0)\nnext: mpbake plan\n"


def test_nothing_compared_says_why() -> None:
    proof = Proof(reason="docker has no buildx", hint="install buildx")
    assert import_text(report(proof=proof)) == (
        "wrote build.toml\n"
        "\n"
        "nothing was compared: docker has no buildx\n"
        "  = install buildx\n"
        "\n"
        "2 targets: 2 not compared\n"
        "next: mpbake plan\n"
    )


def test_values_that_neither_side_accepts_need_the_environment() -> None:
    refused = (Comparison(bake_error="Validation failed; no TAG", plan_error="tag is empty"),)
    proof = Proof(comparisons=refused, buildx="0.36.0", unset=("TAG", "NAME"))
    assert import_text(report(proof=proof, plan="")) == (
        "neither bake nor mpbake accepts the present values\n"
        "  bake: Validation failed; no TAG\n"
        "  mpbake: tag is empty\n"
        "  = set the missing variables (TAG, NAME), and import again\n"
        "\n"
        "2 targets: 2 not compared\n"
    )


@pytest.mark.parametrize(
    ("error", "advice"),
    [("Invalid name", "correct the bake file"), ("Validation failed; Wrong environment", "set other values")],
)
def test_only_a_missing_variable_must_be_set(error: str, advice: str) -> None:
    proof = Proof(comparisons=(Comparison(bake_error=error, plan_error="no"),), buildx="0.36.0")
    text = import_text(report(proof=proof, plan=""))
    assert f"  = {advice}, and import again\n" in text
    assert "missing variables" not in text


def test_an_error_that_no_variable_may_cause_has_both_remedies() -> None:
    refused = (Comparison(bake_error="Invalid index", plan_error="no"),)
    proof = Proof(comparisons=refused, buildx="0.36.0", unset=("TAG",))
    text = import_text(report(proof=proof, plan=""))
    assert "  = set the missing variables (TAG) or correct the bake file, and import again\n" in text


def test_values_that_only_the_plan_can_evaluate_share_an_entry() -> None:
    lenient = Comparison(variation=TAG, bake_error="Invalid index", lenient=True)
    text = import_text(report(Comparison(), lenient, replace(lenient, variation=EMPTY)))
    assert 'and the plan can\n  TAG=2, TAG=""\n    Invalid index\n\n' in text
    refused = Comparison(bake_error="Invalid index", plan_error="no")
    assert "and the plan can\n" not in import_text(report(refused, lenient))


def test_a_value_instead_of_a_secret_is_told() -> None:
    frozen = Frozen(
        key=FrozenKey(block="target", name="web", path=("args", "ID")),
        expression=Literal(value="", text="md5(NPM_TOKEN)"),
        reason="the plan language has no md5",
        place=PLACE,
        written=True,
    )
    conversion = Conversion(text="", targets=CONVERSION.targets, frozen=(frozen,))
    text = import_text(report(conversion=conversion, invented=("NPM_TOKEN",)))
    assert "    md5(NPM_TOKEN)\n  evaluated with NPM_TOKEN=other, since a plan must not hold a secret\n" in text


def test_one_needed_value_is_singular() -> None:
    proof = Proof(comparisons=(Comparison(),), buildx="0.36.0", targets=("web",), needed=(TAG,))
    assert import_text(report(proof=proof)).endswith(
        "compared with TAG=2, since bake refuses the files without it\nnext: mpbake plan\n"
    )


def test_a_reason_that_the_present_values_have_is_not_repeated() -> None:
    same = Comparison(plan_error="no @ in the text")
    text = import_text(report(same, replace(same, variation=TAG), replace(same, variation=EMPTY)))
    assert text.count("no @ in the text") == 1
    assert "does not follow" not in text


def test_a_variable_is_different_only_if_its_change_shows_something_new() -> None:
    same = difference(attribute="args.ID")
    runs = (Comparison(differences=(same,)), Comparison(variation=TAG, differences=(same,)))
    assert Proof(comparisons=runs).variable("TAG") is Verdict.EQUAL
    changed = replace(same, original='["c"]')
    runs = (Comparison(differences=(same,)), Comparison(variation=TAG, differences=(changed,)))
    assert Proof(comparisons=runs).variable("TAG") is Verdict.DIFFERENT


def test_values_with_the_same_reason_share_an_entry() -> None:
    text = import_text(
        report(Comparison(), Comparison(variation=TAG, plan_error="no"), Comparison(variation=EMPTY, plan_error="no"))
    )
    assert 'different\n  TAG=2, TAG="": the plan refuses this, and bake does not\n    no\n\n' in text
    assert "the plan does not follow every change of TAG\n" in text


def test_a_missing_file_is_named_once() -> None:
    error = "failed to stat /run/secrets/a: stat /run/secrets/a: no such file or directory"
    proof = Proof(comparisons=(Comparison(bake_error=error, plan_error=error),), buildx="0.36.0")
    text = import_text(report(proof=proof, plan=""))
    assert text.count("failed to stat") == 1
    assert "  = create this file, which may be empty, and import again\n" in text


def test_errors_of_the_plan_have_their_lines() -> None:
    problem = Diagnostic(code=Code.BAD_VALUE, message="is wrong", location=Location(file="build.toml", line=3))
    text = import_text(report(problems=(problem,), plan=""))
    assert text.startswith("errors of the plan\n  build.toml:3: is wrong [bad-value]\n\n")


def test_needed_values_and_random_values_are_told() -> None:
    proof = Proof(
        comparisons=(Comparison(),),
        buildx="0.36.0",
        targets=("web",),
        needed=(TAG, Variation()),
        varying=frozenset({(Subject.TARGET, "web", "args.ID")}),
    )
    assert import_text(report(proof=proof, plan="")) == (
        "bake itself gives another value each time\n"
        "  target web: args.ID\n"
        "\n"
        "1 target: 1 equal (checked with buildx 0.36.0)\n"
        "compared with TAG=2, values of docker/metadata-action, since bake refuses the\n"
        "files without them\n"
    )


def test_no_line_is_wider_than_80_columns_or_controls_a_terminal() -> None:
    long = "a " * 200 + "\x1b[31m"
    notes = (Note(kind=NoteKind.LOST, text=long, place=PLACE),)
    conversion = Conversion(text="", targets={"web": "web"}, notes=notes)
    comparison = Comparison(variation=TAG, bake_error=long, differences=(difference(original=long),))
    text = import_text(report(Comparison(), comparison, conversion=conversion))
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


def test_many_differences_are_cut() -> None:
    differences = tuple(difference(f"web-{number}", imported=str(number)) for number in range(60))
    text = import_text(report(Comparison(differences=differences)))
    assert "  and 20 more: --format json prints all of them\n" in text
    assert "web-39:" in text
    assert "web-40:" not in text


def test_targets_with_the_same_difference_share_an_entry() -> None:
    rows = tuple(difference(f"web-{number}") for number in range(8))
    text = import_text(report(Comparison(), Comparison(variation=TAG, differences=(*rows, difference("api")))))
    assert (
        "different\n"
        "  target web-0, web-1, web-2, web-3, web-4, web-5 and 3 more: tags with TAG=2\n"
        '    bake    ["a"]\n'
        '    mpbake  ["b"]\n'
        "\n"
    ) in text


def test_json_has_every_field() -> None:
    comparison = Comparison(variation=TAG, differences=(difference(),))
    data = json.loads(import_json(report(Comparison(), comparison, invented=("NPM_TOKEN",))))
    assert data["invented"] == ["NPM_TOKEN"]
    assert data["equal"] is False
    assert data["targets"] == [
        {"name": "web", "plan": "web", "verdict": "different"},
        {"name": "api", "plan": "api", "verdict": "equal"},
    ]
    assert data["variables"] == [{"name": "TAG", "plan": "tag", "verdict": "different"}]
    assert data["comparisons"][1] == {
        "variable": "TAG",
        "value": "2",
        "equal": False,
        "bake_error": "",
        "plan_error": "",
        "lenient": False,
        "unchecked": False,
        "differences": [
            {"subject": "target", "name": "web", "attribute": "tags", "original": '["a"]', "imported": '["b"]'}
        ],
    }
    assert {name: data[name] for name in ("format", "plan", "text", "buildx", "reason", "needed")} == {
        "format": 1,
        "plan": "build.toml",
        "text": "version = 1\n",
        "buildx": "0.36.0",
        "reason": "",
        "needed": {},
    }


@pytest.mark.parametrize(
    ("comparisons", "complete"),
    [
        ((Comparison(),), True),
        ((Comparison(), Comparison(variation=TAG)), True),
        ((Comparison(), Comparison(variation=TAG, bake_error="a", plan_error="b")), True),
        ((Comparison(), Comparison(variation=TAG, bake_error="a", lenient=True)), True),
        ((Comparison(), Comparison(variation=TAG, bake_error="a", unchecked=True)), True),
        ((), False),
        ((Comparison(bake_error="a", plan_error="b"), Comparison(variation=TAG)), False),
        ((Comparison(bake_error="a"),), False),
        ((Comparison(plan_error="b"),), False),
        ((Comparison(differences=(difference(),)),), False),
        ((Comparison(), Comparison(variation=TAG, differences=(difference(),))), False),
        ((Comparison(), Comparison(variation=TAG, bake_error="a")), False),
        ((Comparison(), Comparison(variation=TAG, plan_error="b")), False),
    ],
)
def test_a_proof_needs_the_present_values_and_no_difference(
    comparisons: tuple[Comparison, ...],
    complete: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert Proof(comparisons=comparisons).is_complete is complete


def test_a_variable_is_equal_only_after_a_change_that_was_compared() -> None:
    proof = Proof(comparisons=(Comparison(), Comparison(variation=TAG, bake_error="a", plan_error="b")))
    assert proof.variable("TAG") is Verdict.UNKNOWN
    assert proof.variable("OTHER") is Verdict.UNKNOWN
    assert Proof(comparisons=(Comparison(), Comparison(variation=TAG))).variable("TAG") is Verdict.EQUAL
