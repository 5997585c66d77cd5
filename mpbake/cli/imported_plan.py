"""The plan of `mpbake import` before it is written: read as mpbake reads every plan, and exported to bake."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpbake.base.file_tree import FILE_SYSTEM
from mpbake.model.reading import ReadAccess
from mpbake.report.plan.bake_definition import bake_text
from mpbake.resolve import Inputs, given_secrets, resolve_partially
from mpbake.spec.files.loader import read_plan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mpbake.base.files import Kind
    from mpbake.base.redaction import Redactor
    from mpbake.cli.world import World
    from mpbake.spec.files.plan_files import PlanFiles
    from mpbake.spec.tables.plan_tables import PlanSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class _TreeWithPlan:
    """The files of this machine and a plan that is not written yet."""

    path: Path
    text: str

    def kind(self, path: Path) -> Kind:
        return FILE_SYSTEM.kind(path)

    def access_error(self, path: Path) -> str:
        return FILE_SYSTEM.access_error(path)

    def read(self, path: Path) -> bytes:
        return self.text.encode() if path == self.path else FILE_SYSTEM.read(path)

    def sha256(self, path: Path) -> str:
        return FILE_SYSTEM.sha256(path)

    def real_path(self, path: Path) -> str:
        return str(path) if path == self.path else FILE_SYSTEM.real_path(path)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedPlan:
    """The plan that was made from bake files, read as mpbake reads it."""

    files: PlanFiles
    spec: PlanSpec
    machine: str
    redactor: Redactor

    def exported(self, environment: Mapping[str, str]) -> str:
        """Return the plan as a bake file, with values of `environment`. Raises PlanError, UsageError."""
        inputs = Inputs(environment=environment, machine=self.machine)
        self.redactor.add(given_secrets(self.spec, inputs))
        plan = resolve_partially(self.files, self.spec, inputs).plan_or_raise()
        return bake_text(plan, tuple(plan.targets.values()))


def read_imported(text: str, path: Path, world: World) -> ImportedPlan:
    """Read the text of a plan that is to be written as `path`. Raises PlanError."""
    access = ReadAccess(folder=path.parent, tree=_TreeWithPlan(path=path, text=text))
    files, spec = read_plan([path], show=lambda file: file.name, access=access)
    return ImportedPlan(files=replace(files, relative=True), spec=spec, machine=world.machine, redactor=world.redactor)
