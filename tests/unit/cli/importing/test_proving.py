"""The comparisons of a bake file with its plan, with a simulated buildx and a simulated plan."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from mpbake.base.codes import Code
from mpbake.base.errors import Diagnostic, PlanError
from mpbake.buildkit.bake.printing import BakeRefused, BakeTimedOut, NoBuildx
from mpbake.cli.importing.proving import BakeInput, Prover
from mpbake.conversion.comparison import Subject, parse_printed
from mpbake.conversion.compose import read_compose
from mpbake.conversion.plan.conversion import Conversion
from mpbake.conversion.reading import merged, read_hcl
from mpbake.conversion.syntax import Place
from mpbake.conversion.variations import Variation
from tests.unit.worlds import world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mpbake.buildkit.bake.printing import BakePrinter
    from mpbake.cli.importing.imported_plan import ImportedPlan
    from mpbake.conversion.comparison import Printed
    from mpbake.conversion.proof import Proof

    Definition = Callable[[Mapping[str, str], Mapping[str, Any]], dict[str, Any]]
    """Returns the targets and groups for values of variables, and for values of further targets."""

FILE = """
variable "TAG" { default = "dev" }
target "web" { tags = ["example.com/web:${TAG}"] }
"""


now = {"epoch": ""}
"""The time that the plan got last."""


class Printer:
    """A buildx for which `original` defines the bake file. `prints` counts how often the bake file was printed."""

    version = "0.36.0"

    def __init__(self, original: Definition) -> None:
        self.original = original
        self.prints = 0

    def printed(
        self,
        files: Sequence[str],
        names: Iterable[str],
        environment: Mapping[str, str],
        targets: Mapping[str, Any],
    ) -> Printed:
        assert files == ("docker-bake.hcl",)
        assert [*names]
        self.prints += 1
        return parse_printed(json.dumps(self.original(environment, targets)))

    def printed_text(self, text: str, suffix: str, names: Iterable[str], environment: Mapping[str, str]) -> Printed:
        assert suffix == ".json"
        assert environment == {}
        assert [*names]
        return parse_printed(text)


def proof(
    original: Definition,
    plan: Definition,
    text: str = FILE,
    conversion: Conversion | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
    **environment: str,
) -> tuple[Proof, Printer]:
    """Return the proof for a bake file and a plan, which are simulated: only `text` names the variables."""
    printer = Printer(original)

    def read(targets: Mapping[str, Any]) -> ImportedPlan:
        def exported(environment: Mapping[str, str]) -> str:
            now["epoch"] = environment.get("SOURCE_DATE_EPOCH", "")
            values = {name: value for name, value in environment.items() if name != "SOURCE_DATE_EPOCH"}
            return json.dumps(plan(values, targets))

        return cast("ImportedPlan", SimpleNamespace(exported=exported))

    prover = Prover(
        source=BakeInput(
            folder=Path("/project"), files=("docker-bake.hcl",), content=read_hcl(text, "docker-bake.hcl")
        ),
        conversion=conversion or Conversion(text="", targets={"web": "web"}),
        read=read,
        machine="linux/amd64",
        printer=cast("BakePrinter", printer),
        environment=environment,
    )
    return prover.proof(progress), printer


def web(**attributes: Any) -> dict[str, Any]:
    return {"target": {"web": attributes}}


def tagged(environment: Mapping[str, str], _: Mapping[str, Any]) -> dict[str, Any]:
    return web(tags=[f"example.com/web:{environment.get('TAG', 'dev')}"])


def refused(message: str, code: Code = Code.WRONG_TYPE) -> PlanError:
    return PlanError([Diagnostic(code=code, message=message)])


def test_a_plan_that_follows_its_variable_is_equal() -> None:
    found, printer = proof(tagged, tagged)
    assert found.is_complete
    assert found.changed_variables == ("TAG",)
    assert [run.variation for run in found.comparisons] == [
        None,
        Variation(variable="TAG", value="dev2"),
        Variation(variable="TAG", value=""),
    ]
    assert printer.prints == 4, "once to find absent members, and once for each comparison"


def test_a_plan_that_does_not_follow_its_variable_is_different() -> None:
    found, printer = proof(tagged, lambda *_: web(tags=["example.com/web:dev"]))
    assert not found.is_complete
    assert [run.is_equal for run in found.comparisons] == [True, False, False]
    assert found.different_targets == {"web"}
    assert printer.prints == 7, "the first difference at a place is examined: two prints, and one more comparison"


def test_both_sides_have_the_present_values() -> None:
    seen: list[Mapping[str, str]] = []

    def noted(environment: Mapping[str, str], targets: Mapping[str, Any]) -> dict[str, Any]:
        seen.append(environment)
        return tagged(environment, targets)

    found, _ = proof(noted, noted, TAG="1.4")
    assert found.is_complete
    assert seen[:2] == [{"TAG": "1.4"}, {"TAG": "1.4"}]
    assert {values["TAG"] for values in seen} == {"1.4", "1.5", ""}


def test_only_variables_of_the_bake_file_come_from_the_environment(tmp_path: Path) -> None:
    content = read_hcl(f'{FILE}FIXED = "x"\n', "docker-bake.hcl")
    source = BakeInput(folder=tmp_path, files=(), content=content)
    here = world(tmp_path, {"TAG": "1", "TAG_JSON": '"2"', "TOKEN": "s", "FIXED": "y", "PATH": "/bin"})
    assert source.environment(here) == {"TAG": "1", "TAG_JSON": '"2"'}


def test_variables_of_containers_come_from_the_environment(tmp_path: Path) -> None:
    services = """
        services:
          web: { build: ".", volumes: ["$DATA:/data", "${CACHE:-${OLD_CACHE}}:/cache"] }
    """
    content = merged([read_compose(services, "compose.yaml"), read_hcl(FILE, "docker-bake.hcl")])
    source = BakeInput(folder=tmp_path, files=(), content=content)
    here = world(tmp_path, {"DATA": "/data", "OLD_CACHE": "/old", "CACHE": "/new", "TOKEN": "s"})
    assert source.environment(here) == {"DATA": "/data", "OLD_CACHE": "/old", "CACHE": "/new"}


def test_values_that_change_by_themselves_are_no_difference() -> None:
    number = 0

    def random(*_: Any) -> dict[str, Any]:
        nonlocal number
        number += 1
        return web(args={"ID": str(number), "A": "1"})

    found, _ = proof(random, lambda *_: web(args={"ID": "frozen", "A": "1"}))
    assert found.is_complete
    assert found.varying == {(Subject.TARGET, "web", "args.ID")}
    other, _ = proof(random, lambda *_: web(args={"ID": "frozen", "A": "2"}))
    assert not other.is_complete
    assert {difference.attribute for run in other.comparisons for difference in run.differences} == {"args.A"}


class Clock:
    """A clock that moves a second after each `step` readings."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.readings = 0

    def __call__(self) -> float:
        self.readings += 1
        return 1000 + self.readings / self.step


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_a_time_of_the_clock_is_compared_with_that_of_the_plan(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    clock = Clock(step)
    monkeypatch.setattr(time, "time", clock)

    def timed(*_: Any) -> dict[str, Any]:
        return web(args={"TIME": str(int(clock())), "LATER": str(int(clock()))})

    found, _ = proof(timed, lambda *_: web(args={"TIME": now["epoch"], "LATER": now["epoch"]}))
    assert found.is_complete
    assert found.varying == frozenset()


def test_a_declared_variable_for_the_time_has_only_its_own_values() -> None:
    text = 'variable "SOURCE_DATE_EPOCH" { default = "0" }\ntarget "web" {}\n'
    seen = []

    def plan(*_: Any) -> dict[str, Any]:
        seen.append(now["epoch"])
        return web()

    assert proof(lambda *_: web(), plan, text)[0].is_complete
    assert seen == ["", "1", ""]


def test_another_form_of_a_time_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(1000)
    monkeypatch.setattr(time, "time", clock)
    found, _ = proof(
        lambda *_: web(args={"TIME": str(int(clock()))}), lambda *_: web(args={"TIME": f"{now['epoch']}Z"})
    )
    assert not found.is_complete
    assert found.varying == frozenset()


def test_a_value_that_both_refuse_is_equal_and_one_that_only_mpbake_refuses_is_not() -> None:
    def validated(environment: Mapping[str, str], targets: Mapping[str, Any]) -> dict[str, Any]:
        if environment.get("TAG") == "":
            raise BakeRefused("Validation failed; TAG is empty")
        return tagged(environment, targets)

    def checked(environment: Mapping[str, str], targets: Mapping[str, Any]) -> dict[str, Any]:
        if environment.get("TAG") == "":
            raise refused("tag is empty")
        return tagged(environment, targets)

    assert proof(validated, checked)[0].is_complete
    assert not proof(validated, tagged)[0].is_complete, "the validation is lost"
    strict, _ = proof(tagged, checked)
    assert strict.failed[0].plan_error == "tag is empty"
    assert not strict.failed[0].bake_error


def test_a_value_that_only_a_noted_validation_forbids_is_no_difference() -> None:
    place = Place(file="images/docker-bake.hcl", line=4, column=17)
    conversion = Conversion(text="", targets={"web": "web"}, unchecked=(place,))

    def refusing(line: int) -> Definition:
        def validated(environment: Mapping[str, str], targets: Mapping[str, Any]) -> dict[str, Any]:
            if environment.get("TAG") == "":
                raise BakeRefused(f"docker-bake.hcl:{line},21-40: Validation failed; no")
            return tagged(environment, targets)

        return validated

    noted, _ = proof(refusing(4), tagged, conversion=conversion)
    assert noted.is_complete
    assert [run.unchecked for run in noted.comparisons].count(True) == 1
    assert not proof(refusing(9), tagged, conversion=conversion)[0].is_complete, "another validation is lost"


def test_a_value_with_which_a_function_of_bake_fails_is_no_difference() -> None:
    def fragile(environment: Mapping[str, str], targets: Mapping[str, Any]) -> dict[str, Any]:
        if environment.get("TAG") == "":
            raise BakeRefused("Error in function call; index out of range")
        return tagged(environment, targets)

    found, _ = proof(fragile, tagged)
    assert found.is_complete
    assert [run.lenient for run in found.comparisons] == [False, False, True]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('"example.com/web:" is not an image name', Code.BAD_IMAGE_NAME),
        ('unknown network "other"', Code.BAD_VALUE),
        ('"other" is not a size', Code.BAD_SIZE),
        ('unknown type "image2"', Code.BAD_FIELDS),
    ],
)
def test_a_value_that_every_build_refuses_is_no_difference(message: str, code: Code) -> None:
    def checked(environment: Mapping[str, str], targets: Mapping[str, Any]) -> dict[str, Any]:
        if environment.get("TAG") == "":
            raise refused(message, code)
        return tagged(environment, targets)

    found, _ = proof(tagged, checked)
    assert found.is_complete
    assert found.comparisons[-1].both_refuse


def test_builds_accept_an_architecture_as_a_platform_and_a_plan_does_not() -> None:
    def printed(environment: Mapping[str, str], _: Mapping[str, Any]) -> dict[str, Any]:
        return web(platforms=[environment.get("TAG", "linux/") or "arm64"], tags=["web"])

    def checked(environment: Mapping[str, str], targets: Mapping[str, Any]) -> dict[str, Any]:
        if environment.get("TAG") == "":
            raise refused('"arm64" is not a platform', Code.BAD_PLATFORM)
        return printed(environment, targets)

    found, _ = proof(printed, checked)
    assert not found.is_complete
    assert found.comparisons[-1].plan_error == '"arm64" is not a platform'
    assert not found.comparisons[-1].bake_error


NEEDS_TAG = 'variable "TAG" {}\ntarget "web" { tags = ["example.com/web:${TAG}"] }\n'


def test_a_file_that_needs_values_is_compared_with_some() -> None:
    def needy(environment: Mapping[str, str], targets: Mapping[str, Any]) -> dict[str, Any]:
        if not environment.get("TAG"):
            raise BakeRefused("Validation failed; set TAG")
        return tagged(environment, targets)

    def ours(environment: Mapping[str, str], targets: Mapping[str, Any]) -> dict[str, Any]:
        if not environment.get("TAG"):
            raise refused("set tag")
        return tagged(environment, targets)

    found, _ = proof(needy, ours, NEEDS_TAG)
    assert found.is_complete
    assert found.needed == (Variation(variable="TAG", value="other"),)
    assert found.targets == ("web",)


def test_only_the_values_that_bake_needs_are_invented() -> None:
    text = 'variable "A" {}\nvariable "TAG" {}\nvariable "B" {}\ntarget "web" { tags = [A, TAG, B] }\n'

    def needy(environment: Mapping[str, str], targets: Mapping[str, Any]) -> dict[str, Any]:
        if not environment.get("TAG"):
            raise BakeRefused("Validation failed; set TAG")
        return tagged(environment, targets)

    found, _ = proof(needy, tagged, text)
    assert found.needed == (Variation(variable="TAG", value="other"),)


def test_values_that_only_builds_of_bake_refuse_are_replaced() -> None:
    text = 'variable "A" {}\nvariable "TAG" {}\nvariable "B" {}\ntarget "web" { tags = [A, TAG, B] }\n'

    def checked(environment: Mapping[str, str], targets: Mapping[str, Any]) -> dict[str, Any]:
        if not environment.get("TAG"):
            raise refused('"example.com/web:" is not an image name', Code.BAD_IMAGE_NAME)
        return tagged(environment, targets)

    found, _ = proof(tagged, checked, text)
    assert found.is_complete
    assert found.needed == (Variation(variable="TAG", value="other"),)


def test_only_the_present_values_must_be_printed_in_time() -> None:
    def slow(environment: Mapping[str, str], targets: Mapping[str, Any]) -> dict[str, Any]:
        if environment.get("TAG", "dev") == "":
            raise BakeTimedOut("buildx did not print the bake file within 60 s")
        return tagged(environment, targets)

    found, _ = proof(slow, tagged)
    assert [run.lenient for run in found.comparisons] == [False, False, True]
    with pytest.raises(NoBuildx):
        proof(slow, tagged, TAG="")


def test_progress_counts_every_comparison() -> None:
    shown: list[tuple[int, int]] = []
    proof(tagged, tagged, progress=lambda done, total: shown.append((done, total)))
    assert sorted(shown) == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert shown[0] == (0, 3)


def test_a_file_that_no_value_helps_is_not_compared() -> None:
    def never(*_: Any) -> dict[str, Any]:
        raise BakeRefused("no")

    def plan(*_: Any) -> dict[str, Any]:
        raise refused("no")

    found, _ = proof(never, plan, NEEDS_TAG)
    assert not found.is_complete
    assert found.needed == ()
    assert found.unset == ("TAG",)
    assert found.comparisons[0].both_refuse
    assert found.targets == ()


def test_the_values_of_metadata_action_reach_both() -> None:
    text = 'target "docker-metadata-action" {}\ntarget "web" { inherits = ["docker-metadata-action", "ci"] }\n'
    conversion = Conversion(
        text="", targets={"web": "web"}, templates={"docker-metadata-action": "_docker-metadata-action", "ci": "_ci"}
    )

    def inheriting(_: Mapping[str, str], targets: Mapping[str, Any]) -> dict[str, Any]:
        return web(**targets.get("docker-metadata-action", {}), args=targets.get("ci", {}).get("labels", {}))

    def original(values: Mapping[str, str], targets: Mapping[str, Any]) -> dict[str, Any]:
        if "ci" not in targets:
            raise BakeRefused("failed to find target ci")
        return inheriting(values, targets)

    found, _ = proof(original, inheriting, text, conversion)
    assert found.is_complete
    assert [run.variation for run in found.comparisons] == [None, Variation()]
    lost, _ = proof(original, lambda *_: web(), text, conversion)
    assert [run.is_equal for run in lost.comparisons] == [True, False]


def test_a_group_with_a_member_that_no_file_defines_is_compared_without_it() -> None:
    text = 'group "all" { targets = ["web", "gone"] }\ntarget "web" {}\n'
    conversion = Conversion(text="", targets={"web": "web"}, groups={"all": "all"})

    def original(_: Mapping[str, str], targets: Mapping[str, Any]) -> dict[str, Any]:
        if "gone" not in targets:
            raise BakeRefused("failed to find target gone")
        return {"group": {"all": {"targets": ["web", "gone"]}}, "target": {"web": {}, "gone": {}}}

    found, _ = proof(
        original, lambda *_: {"group": {"all": {"targets": ["web"]}}, "target": {"web": {}}}, text, conversion
    )
    assert found.is_complete
    assert found.targets == ("web",)
