"""Import public bake files and count the results: how many plans build the same, and in how many lines.

    python scripts/bake_corpus FOLDER                     the files of tests/data/bake/public.toml
    python scripts/bake_corpus FOLDER --table TABLE PART…  those of another table whose names contain a PART

The repository has the table, not the files. FOLDER has a folder OWNER+NAME for each repository, such as a clone at the
commit in the table. `git clone --no-checkout URL && git checkout COMMIT -- FILE` is enough. A file that is missing or
that has another SHA-256 is reported and left out.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from testbed.packages import tool_path

from bake_corpus.cases import importer, read_cases

if TYPE_CHECKING:
    from bake_corpus.cases import Case, Outcome

_TABLE = Path(__file__).resolve().parents[2] / "tests/data/bake/public.toml"
_AT_ONCE = 3
_CHANGES = 3
_SHOWN = 6


@dataclass(kw_only=True)
class _Counts:
    files: Counter[str] = field(default_factory=Counter)
    targets: Counter[str] = field(default_factory=Counter)
    before: int = 0
    after: int = 0
    unexpected: int = 0

    def add(self, case: Case, outcome: Outcome, lines: int) -> None:
        self.files[outcome.result] += 1
        self.targets[outcome.result] += outcome.targets
        if outcome.text:
            self.before += lines
            self.after += outcome.text.count("\n")
        self.unexpected += outcome.result != case.result


def main() -> int:
    """Print one line for each case, and the counts. Return 1 if a result is not that of the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the folder with the repositories")
    parser.add_argument("--table", type=Path, default=_TABLE, help="a table of cases, instead of public.toml")
    parser.add_argument("--plans", type=Path, metavar="DIR", help="also write the plans into this folder")
    parser.add_argument("parts", nargs="*", metavar="PART", help="a part of the name of a case; all without one")
    arguments = parser.parse_intermixed_args()
    buildx = tool_path("docker-buildx", os.environ)
    if buildx is None:
        parser.error("there is no buildx: install it, or name it in MPBAKE_TEST_BUILDX")
    cases = [case for case in read_cases(arguments.table) if _is_chosen(case, arguments.parts)]
    present = [case for case in cases if not _changed(case, arguments.folder)]
    counts = _Counts()
    with tempfile.TemporaryDirectory() as private, ThreadPoolExecutor(_AT_ONCE) as pool:
        run = importer(buildx, Path(private), os.environ, _CHANGES)
        pending = {pool.submit(run.outcome, case, arguments.folder): case for case in present}
        for future in as_completed(pending):
            case, outcome = pending[future], future.result()
            counts.add(case, outcome, case.lines(arguments.folder))
            _print_case(case, outcome)
            if arguments.plans and outcome.text:
                _write_plan(arguments.plans, case, outcome.text)
    _print_counts(counts)
    return 1 if counts.unexpected or len(present) < len(cases) else 0


def _write_plan(folder: Path, case: Case, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = case.name.replace("/", "_").replace(" ", "__")
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")


def _is_chosen(case: Case, parts: list[str]) -> bool:
    return not parts or any(part in case.name for part in parts)


def _changed(case: Case, folder: Path) -> bool:
    files = case.changed_files(folder)
    if files:
        print(f"{case.name}: missing, or not the file of commit {case.commit}: {', '.join(files)}")
    return bool(files)


def _print_case(case: Case, outcome: Outcome) -> None:
    expected = "" if outcome.result == case.result else f" (expected: {case.result})"
    print(f"{outcome.result:<9} {outcome.targets:>4} targets  {case.name}{expected}", flush=True)
    for problem in outcome.problems[:_SHOWN]:
        print(f"          {problem.splitlines()[0]}")


def _print_counts(counts: _Counts) -> None:
    total = sum(counts.files.values())
    print(f"\n{total} cases, {sum(counts.targets.values())} targets")
    for result in ("live", "frozen", "different"):
        share = 100 * counts.files[result] / total if total else 0
        print(f"{result:<10} {counts.files[result]:>4} cases ({share:.0f} %), {counts.targets[result]} targets")
    print(f"lines: {counts.before} in bake files, {counts.after} in plans")


sys.exit(main())
