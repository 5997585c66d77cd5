"""The plan of `mpbake import` before it is written: read as mpbake reads every plan, and exported to bake."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mpbake.base.file_tree import FILE_SYSTEM
from mpbake.model.reading import ReadAccess
from mpbake.report.plan.bake_definition import bake_text
from mpbake.resolve import Inputs, given_secrets, resolve_partially
from mpbake.spec.files.loader import read_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mpbake.base.files import Kind
    from mpbake.base.redaction import Redactor
    from mpbake.cli.world import World
    from mpbake.spec.files.plan_files import PlanFiles
    from mpbake.spec.tables.plan_tables import PlanSpec

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_VALUES = "values-of-mpbake-import.json"
"""The name of a file that exists only in memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _TreeWithPlan:
    """The files of this machine and those of a plan that is not written yet."""

    texts: Mapping[Path, str]

    def kind(self, path: Path) -> Kind:
        return FILE_SYSTEM.kind(path)

    def access_error(self, path: Path) -> str:
        return FILE_SYSTEM.access_error(path)

    def read(self, path: Path) -> bytes:
        return self.texts[path].encode() if path in self.texts else FILE_SYSTEM.read(path)

    def sha256(self, path: Path) -> str:
        return FILE_SYSTEM.sha256(path)

    def real_path(self, path: Path) -> str:
        return str(path) if path in self.texts else FILE_SYSTEM.real_path(path)


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


def read_imported(text: str, path: Path, world: World, targets: Mapping[str, Any] = _NOTHING) -> ImportedPlan:
    """Read the text of a plan that is to be written as `path`. Raises PlanError.

    `targets` are values of images, as in a JSON file that `-f` names after the plan.
    """
    values = {path.with_name(_VALUES): json.dumps({"target": dict(targets)})} if targets else {}
    texts = {path: text, **values}
    access = ReadAccess(folder=path.parent, tree=_TreeWithPlan(texts=texts))
    files, spec = read_plan([*texts], show=lambda file: file.name, access=access)
    files = replace(files, relative=True)
    return ImportedPlan(files=files, spec=spec, machine=world.machine, redactor=world.redactor)


def cached_plans(text: str, path: Path, world: World) -> Callable[[Mapping[str, Any]], ImportedPlan]:
    """Return a function that reads a plan with values of images, as `read_imported` does, each once."""
    plans: dict[str, ImportedPlan] = {}

    def read(targets: Mapping[str, Any]) -> ImportedPlan:
        key = json.dumps(targets)
        if key not in plans:
            plans[key] = read_imported(text, path, world, targets)
        return plans[key]

    return read
