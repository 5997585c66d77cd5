"""Bake files from seeds are imported, and bake prints the same for them and for the export of their plans.

    pytest -m long tests/engine/test_import_fuzz.py                                thousands of seeds
    MPBAKE_FUZZ_SEEDS=17-17 pytest -m long tests/engine/test_import_fuzz.py        one seed

The files of one batch have no name in common, so bake prints all of them at once. These tests need no engine.
"""

from __future__ import annotations

import io
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from bake_corpus.equality import differences
from testbed.packages import tool_path

from mpbake.base.errors import MpbakeError
from mpbake.buildkit.bake.printing import BakePrinter, BakeRefused, open_printer
from mpbake.cli.importing.evaluating import Evaluator
from mpbake.cli.importing.imported_plan import read_imported
from mpbake.cli.importing.proving import BakeInput
from mpbake.cli.world import World
from mpbake.conversion.plan import convert
from mpbake.conversion.reading import merged, read_hcl
from tests.engine.generated_bake_files import GeneratedBakeFile, generated_bake_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mpbake.conversion.plan.conversion import Conversion

pytestmark = pytest.mark.one_release

_BATCH = 25
_SEEDS = os.environ.get("MPBAKE_FUZZ_SEEDS", "1000-3999")


@dataclass(frozen=True, kw_only=True)
class _Imported:
    """A generated file, and the plan made from it."""

    seed: int
    file: GeneratedBakeFile
    conversion: Conversion

    @property
    def names(self) -> dict[str, str]:
        return {name: self.conversion.targets.get(name, name) for name in self.file.targets}


@dataclass(frozen=True, kw_only=True)
class _Fuzz:
    """Imports batches of generated files in `folder`."""

    folder: Path
    world: World
    printer: BakePrinter

    def check(self, seeds: Sequence[int]) -> list[str]:
        """Return the differences of the files of `seeds`, with the present values and with all variables changed."""
        problems: list[str] = []
        imported = []
        for seed in seeds:
            file = generated_bake_file(seed)
            (self.folder / f"{seed}.hcl").write_text(file.text, encoding="utf-8")
            try:
                imported.append(self._import(seed, file))
            except BakeRefused:
                continue
            except MpbakeError as error:
                problems += [f"seed {seed}: {error}"] if self._is_accepted(seed, file) else []
        problems += self._compare(imported, changed=False)
        return problems + self._compare([entry for entry in imported if not entry.conversion.frozen], changed=True)

    def _is_accepted(self, seed: int, file: GeneratedBakeFile) -> bool:
        try:
            self.printer.printed([f"{seed}.hcl"], file.targets, {})
        except BakeRefused:
            return False
        return True

    def _import(self, seed: int, file: GeneratedBakeFile) -> _Imported:
        content = merged([read_hcl(file.text, f"{seed}.hcl")])
        source = BakeInput(folder=self.folder, files=(f"{seed}.hcl",), content=content)
        conversion = Evaluator(source=source, printer=self.printer, environment={}).with_values(convert(content))
        return _Imported(seed=seed, file=file, conversion=conversion)

    def _compare(self, batch: Sequence[_Imported], *, changed: bool) -> list[str]:
        """Compare a batch; if bake refuses one of its files, each file alone."""
        problems = []
        originals, exports, names = [], [], dict[str, str]()
        environment = {name: value for entry in batch if changed for name, value in entry.file.changes.items()}
        for entry in batch:
            try:
                exports.append(self._export(entry, environment))
            except MpbakeError as error:
                if self._accepts(entry, environment):
                    problems.append(f"seed {entry.seed}: {'changed: ' if changed else ''}{error}")
                continue
            originals.append(f"{entry.seed}.hcl")
            names |= entry.names
        if not names:
            return problems
        try:
            theirs = self._printed(originals, names, environment)
        except BakeRefused:
            if len(batch) == 1:
                return problems
            return problems + [line for entry in batch for line in self._compare([entry], changed=changed)]
        try:
            ours = self._printed(exports, names.values(), {})
        except BakeRefused as error:
            return [*problems, f"bake refuses the export of {originals}: {error}"]
        return problems + [f"{'changed: ' if changed else ''}{line}" for line in differences(theirs, ours, names)]

    def _accepts(self, entry: _Imported, environment: Mapping[str, str]) -> bool:
        try:
            self.printer.printed([f"{entry.seed}.hcl"], entry.file.targets, environment)
        except BakeRefused:
            return False
        return True

    def _export(self, entry: _Imported, environment: Mapping[str, str]) -> str:
        plan = read_imported(entry.conversion.text, self.folder / "build.toml", self.world)
        path = self.folder / f"{entry.seed}.json"
        path.write_text(plan.exported(environment), encoding="utf-8")
        return path.name

    def _printed(self, files: Sequence[str], names: Any, environment: Mapping[str, str]) -> dict[str, Any]:
        printed = self.printer.printed(files, list(names), environment)
        return {"target": printed.targets}


@pytest.fixture
def fuzz(tmp_path: Path) -> Iterator[_Fuzz]:
    """Yield a fuzz with the buildx under test."""
    buildx = tool_path("docker-buildx", os.environ)
    assert buildx is not None
    plugins = tmp_path / "docker" / "cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-buildx").symlink_to(buildx)
    environment = {**os.environ, "DOCKER_CONFIG": str(plugins.parent)}
    folder = tmp_path / "plans"
    folder.mkdir()
    world = World(
        environment=environment,
        folder=folder,
        stdout=io.StringIO(),
        stderr=io.StringIO(),
        live=False,
        clock=time.monotonic,
        now=lambda: datetime.now(UTC),
        machine="linux/amd64",
    )
    with ExitStack() as stack:
        printer = stack.enter_context(open_printer(environment, folder, lambda text: text, lambda _stop: None))
        yield _Fuzz(folder=folder, world=world, printer=printer)


def test_generated_bake_files(fuzz: _Fuzz) -> None:
    assert fuzz.check(range(40)) == []


@pytest.mark.long
def test_many_generated_bake_files(fuzz: _Fuzz) -> None:
    first, _, last = _SEEDS.partition("-")
    seeds = range(int(first), int(last) + 1)
    problems = [line for start in seeds[::_BATCH] for line in fuzz.check(range(start, min(start + _BATCH, seeds.stop)))]
    assert problems == []
