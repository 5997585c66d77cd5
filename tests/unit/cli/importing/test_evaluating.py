"""The evaluation of expressions by a simulated buildx."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from mpbake.base.errors import UsageError
from mpbake.buildkit.bake.printing import BakeRefused
from mpbake.cli.importing.evaluating import Evaluator
from mpbake.cli.importing.proving import BakeInput
from mpbake.conversion.comparison import Printed, parse_printed
from mpbake.conversion.plan import convert
from mpbake.conversion.reading import read_hcl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mpbake.buildkit.bake.printing import BakePrinter

_FILE = "docker-bake.hcl"


class Printer:
    """A buildx whose answer to every expression is `value`, unless `refusal` returns an error."""

    def __init__(self, refusal: Callable[[bool, str, Mapping[str, str]], str]) -> None:
        self.refusal = refusal
        self.environments: list[Mapping[str, str]] = []

    def printed_with(
        self, files: Sequence[str], text: str, names: Iterable[str], environment: Mapping[str, str]
    ) -> Printed:
        self.environments.append(environment)
        if error := self.refusal(bool(files), text, environment):
            raise BakeRefused(error)
        value = base64.b64encode(json.dumps("value").encode()).decode()
        return parse_printed(json.dumps({"target": {name: {"args": {"value": value}} for name in names}}))


def evaluator(text: str, printer: Printer, **environment: str) -> tuple[Evaluator, Callable[[], str]]:
    """Return an evaluator of a bake file, and a function that returns the converted plan."""
    source = BakeInput(folder=Path("/project"), files=(_FILE,), content=read_hcl(text, _FILE))
    it = Evaluator(source=source, printer=cast("BakePrinter", printer), environment=environment)
    return it, lambda: it.with_values(convert(source.content)).text


def errors(text: str, refusal: Callable[[bool, str, Mapping[str, str]], str]) -> str:
    with pytest.raises(UsageError) as caught:
        evaluator(text, Printer(refusal))[1]()
    return "\n".join(map(str, caught.value.separate))


def test_a_value_does_not_depend_on_the_environment() -> None:
    printer = Printer(lambda *_: "")
    it, plan = evaluator('variable "TAG" {}\ntarget "a" { args = { ID = uuidv4() } }\n', printer, TAG="mine")
    assert '# bake: uuidv4()\nID = "value"' in plan()
    assert printer.environments == [{}]
    assert it.invented == ()


def test_a_secret_of_the_environment_is_replaced() -> None:
    printer = Printer(lambda _, __, environment: "" if environment.get("TAG") else "Invalid index; no")
    it, plan = evaluator('target "a" { args = { ID = uuidv4() } }\n', printer, TAG="mine", NPM_TOKEN="s3cret")
    assert 'ID = "value"' in plan()
    assert printer.environments[-1] == {"TAG": "mine", "NPM_TOKEN": "other"}
    assert it.invented == ("NPM_TOKEN",)


@pytest.mark.parametrize("first", ["UNKNOWN", "nosuch"])
def test_all_undefined_names_are_told_at_once(first: str) -> None:
    errors_of_files = {
        "UNKNOWN": f'{_FILE}:2,1-2: Unknown variable; There is no variable named "UNKNOWN"., and 1 other diagnostic(s)',
        "nosuch": f'{_FILE}:3,16-22: Call to unknown function; There is no function named "nosuch".',
    }

    def refusal(has_files: bool, text: str, _: Mapping[str, str]) -> str:  # noqa: FBT001 - called by position
        if has_files:
            return errors_of_files[first]
        name = "nosuch" if "nosuch" in text else "UNKNOWN"
        return errors_of_files[name].replace(_FILE, "tmp12.hcl")

    text = 'target "a" {\n  tags = ["x:${UNKNOWN}"]\n  args = { A = nosuch("x") }\n}\n'
    hint = "define it, or name all files that bake gets, in the same order"
    assert errors(text, refusal) == (
        f'{_FILE}:2: there is no variable "UNKNOWN"\n{_FILE}:3: there is no function "nosuch"\n  = {hint}'
    )


def test_an_error_elsewhere_in_the_files_has_its_place() -> None:
    text = 'target "a" {\n  args = { A = uuidv4(), B = bcrypt("x") }\n  labels = { l = split("@", D)[1] }\n}\n'
    assert errors(
        text, lambda *_: f"{_FILE}:3,17-19: Invalid index; The index is too large., and 1 other diagnostic(s)"
    ) == (
        f"{_FILE}:3: bake refuses this: Invalid index; The index is too large\n"
        "  = correct this, or set the variables that it needs"
    )


def test_long_details_of_bake_have_their_own_line() -> None:
    details = "The given key does not identify an element in this collection value: it is too large"
    message = errors(
        'target "a" { args = { A = uuidv4() } }\n', lambda *_: f"{_FILE}:3,17-19: Invalid index; {details}."
    )
    assert message.startswith(f"{_FILE}:3: bake refuses this: Invalid index\n{details}\n  = ")


def test_an_expression_in_a_hint_has_one_line() -> None:
    text = 'target "a" {\n  dockerfile-inline = <<EOT\nFROM a\nRUN ${uuidv4()}\n' + "RUN b\n" * 40 + "EOT\n}\n"
    message = errors(text, lambda *_: "no")
    assert re.fullmatch(
        rf"{_FILE}:\d+: bake cannot evaluate this: no\n  = replace the expression by its value: .+…", message
    )


def test_many_refused_expressions_end_early() -> None:
    entries = ", ".join(f"A{number} = uuidv4()" for number in range(50))
    printer = Printer(lambda *_: "no")
    with pytest.raises(UsageError):
        evaluator(f'target "a" {{ args = {{ {entries} }} }}\n', printer)[1]()
    assert len(printer.environments) == 21, "once for all, and twice for each of ten"
