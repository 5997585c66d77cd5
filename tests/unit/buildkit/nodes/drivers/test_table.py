"""The tables of drivers: they are complete, and no other module distinguishes drivers."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.buildkit.nodes.causes import Causes, engine_causes
from mpbake.buildkit.nodes.drivers.back_end import BackEnd, ask_instance, ask_nothing, boot_instance, no_manager
from mpbake.buildkit.nodes.drivers.table import BACK_ENDS
from mpbake.cli.commands import builders, check, plan
from mpbake.model.drivers.rules import DriverRules, EndpointRules
from mpbake.model.drivers.table import RULES
from mpbake.model.plan import Driver
from tests.checkout import CHECKOUT
from tests.unit.dockers import FakeDocker
from tests.unit.workspaces import workspace_with
from tests.unit.worlds import call, world, written

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mpbake.cli.world import World

NAMING_DRIVERS = {
    "model/plan.py",  # the names of drivers, and the drivers of builders without a `driver`
    "spec/tables/builder_tables.py",  # the options of drivers
    "resolve/builders/external.py",  # the drivers of builders that buildx's store does not describe
    "buildkit/nodes/drivers/table.py",  # the back ends
}
"""The only modules that may name a single driver."""


def test_every_driver_is_registered() -> None:
    assert set(RULES) == set(BACK_ENDS) == set(Driver)


def test_only_the_tables_and_the_parser_of_plans_name_a_driver() -> None:
    package = CHECKOUT / "mpbake"
    naming = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"\bDriver\.[A-Z]", path.read_text(encoding="utf-8"))
    }
    assert naming == NAMING_DRIVERS


COMPARING = {
    "buildkit/nodes/instances/inspect_output.py",  # buildx reports this driver for an engine without BuildKit
}
"""The only modules that may compare a driver with a default driver: elsewhere, the rules of a driver decide."""


def test_no_module_compares_a_driver_with_a_default_driver() -> None:
    package = CHECKOUT / "mpbake"
    comparing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(
            r"(==|!=|\bis|\bnot|\bin) +\(?(ENGINE|CONTAINER|AUTOMATIC)_DRIVER", path.read_text(encoding="utf-8")
        )
    }
    assert comparing == COMPARING


# A made-up driver. A real one would be a module in `model/drivers/` and a module in `buildkit/nodes/drivers/`.
RULES_OF_NOTHING = DriverRules(name="nothing", endpoint=EndpointRules(schemes=("nothing",)), is_stored=False)
CAUSES_OF_NOTHING: Causes = lambda _, far_host: engine_causes(far_host)  # noqa: E731 - one line of a module
BACK_END_OF_NOTHING = BackEnd(
    causes=CAUSES_OF_NOTHING, manager=no_manager, survey=ask_nothing, ask=ask_instance, connect=boot_instance
)
PLAN = """\
version = 1

[builders.far]
driver = "nothing"
[builders.far.nodes]
a = { endpoint = "nothing://a", platforms = ["linux/amd64"] }

[targets.web]
builder = "far"
platforms = ["linux/amd64"]
output = ["type=cacheonly"]

[groups.default]
targets = ["web"]
"""


@pytest.fixture
def made_up_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register a driver as a new module would: a name, its rules, its back end."""
    driver = str.__new__(Driver, "nothing")
    driver._name_, driver._value_ = "NOTHING", "nothing"
    monkeypatch.setitem(Driver._value2member_map_, "nothing", driver)
    monkeypatch.setitem(Driver._member_map_, "NOTHING", driver)
    monkeypatch.setattr(Driver, "_member_names_", [*Driver._member_names_, "NOTHING"])
    monkeypatch.setitem(RULES, driver, RULES_OF_NOTHING)
    monkeypatch.setitem(BACK_ENDS, driver, BACK_END_OF_NOTHING)


@pytest.mark.usefixtures("made_up_driver")
@pytest.mark.parametrize(
    ("main", "options", "line"),
    [
        (check.main, {}, "build.toml: 1 target, no problems\n"),
        (plan.main, {}, "  far/a  nothing  nothing://a  linux/amd64\n"),
        (builders.main, {"action": "plan"}, "far (nothing)\n  as declared\nnothing to do\n"),
        (builders.main, {"action": "up"}, "far (nothing)\n  as declared\n"),
    ],
)
def test_a_driver_is_added_by_its_objects_alone(
    main: Callable[[Any, World], int],
    options: dict[str, str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "build.toml").write_text(PLAN)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    workspace, _ = workspace_with(tmp_path, FakeDocker({}))
    monkeypatch.setattr(builders, "_open_workspace", lambda *_: contextlib.nullcontext(workspace))
    user = world(tmp_path)
    assert (call(main, user, **options), written(user.stderr)) == (0, "")
    assert line in written(user.stdout)
