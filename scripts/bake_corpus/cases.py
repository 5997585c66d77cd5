"""Cases of bake files: what `mpbake import` must do with each, and what it did."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bake_corpus.equality import differences

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SECONDS = 600
_ABSENT = re.compile(r"\bstat (?P<path>[^:\n]+): no such file or directory")
_UNKNOWN = re.compile(r"failed to find target (?P<name>[^\s:]+)")
_MOST_ABSENT = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """Bake files in a folder. `files` are named as for `docker buildx bake -f`, in their order.

    `result` is `live`, `frozen` or `different`. `targets` is the number of targets that can be built. `environment` has
    the values without which bake refuses the files.
    """

    name: str
    folder: str
    files: tuple[str, ...]
    result: str
    targets: int
    environment: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""
    commit: str = ""
    sha256: tuple[str, ...] = ()
    buildx: str = "0.0"

    def changed_files(self, root: Path) -> list[str]:
        """Return the files below `root` that are missing, or not those of this case."""
        pairs = zip(self.files, self.sha256, strict=True) if self.sha256 else ()
        return [file for file, sha256 in pairs if _sha256(root / self.folder / file) != sha256]

    def lines(self, root: Path) -> int:
        """Return the number of lines of the bake files."""
        return sum((root / self.folder / file).read_text(encoding="utf-8").count("\n") for file in self.files)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def read_cases(table: Path) -> Iterator[Case]:
    """Yield the cases of a TOML file."""
    for case in tomllib.loads(table.read_text(encoding="utf-8"))["case"]:
        files = tuple(case["files"])
        values = {name: value for name, value in case.items() if name not in {"files", "repository", "sha256", "note"}}
        folder = case.get("folder", case.get("repository", "").replace("/", "+"))
        name = case.get("name", f"{case.get('repository')} {' '.join(files)}")
        sha256 = tuple(case.get("sha256", ()))
        yield Case(**{**values, "name": name, "folder": folder, "files": files, "sha256": sha256})


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What `mpbake import` did with a case. `problems` are differences and errors, as text."""

    result: str
    targets: int = 0
    text: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Importer:
    """Runs `mpbake import` and compares, with the buildx `buildx`. `environment` is that of both programs.

    `changes` is the number of variables that the second comparison changes: each change starts three programs.
    """

    buildx: str
    environment: Mapping[str, str]
    changes: int = 1

    def outcome(self, case: Case, root: Path) -> Outcome:
        """Import a case. `root` is the folder of all cases."""
        folder = root / case.folder
        environment = {**self.environment, **case.environment}
        command = ["import", "-C", str(folder), "--dry-run", "--format", "json", *case.files]
        try:
            completed = self._mpbake(command, environment)
        except subprocess.TimeoutExpired:
            return Outcome(result="different", problems=(f"mpbake import takes more than {_SECONDS} s",))
        if not completed.stdout:
            return Outcome(result="different", problems=(completed.stderr.strip(),))
        report = json.loads(completed.stdout)
        problems = [*report["problems"], *_reported(report)]
        if not problems and not report["equal"] and not (report["frozen"] and report["comparisons"]):
            problems.append(report["reason"] or "not compared")
        if not problems:
            problems += self._independent(case, folder, report, environment)
        result = "different" if problems else "frozen" if report["frozen"] else "live"
        return Outcome(result=result, targets=len(report["targets"]), text=report["text"], problems=tuple(problems))

    def _mpbake(self, words: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mpbake", *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )

    def _independent(
        self, case: Case, folder: Path, report: Mapping[str, Any], environment: Mapping[str, str]
    ) -> Iterator[str]:
        """Yield differences that the second comparison finds: with the present values, and with some variables changed.

        It changes no variable on which frozen values depend, since the report says that the plan does not follow it.
        """
        needed = report.get("needed") or {}
        names = {target["name"]: target["plan"] for target in report["targets"]}
        changes = {change["variable"]: change["value"] for change in _accepted(report)}
        varying = {tuple(place[1:]) for place in report.get("varying") or ()}
        for variable, value in [("", ""), *[*changes.items()][: self.changes]]:
            values = {**environment, **needed, **({variable: value} if variable else {})}
            try:
                imported = self._exported(report["text"], folder, values)
                compared = _names_of(imported, names) if variable else names
                original = self._printed(folder, case.files, compared, values)
            except ValueError as error:
                yield str(error)
                continue
            for target, attribute in varying:
                for printed, name in ((original, target), (imported, compared.get(target, target))):
                    _remove(printed["target"].get(name, {}), attribute)
            yield from (f"{variable}={value}: {line}" for line in differences(original, imported, compared))

    def _exported(self, text: str, folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as name:
            plan = Path(name, "build.toml")
            plan.write_text(text, encoding="utf-8")
            values = {"SOURCE_DATE_EPOCH": str(int(time.time())), **environment}  # bake's timestamp() is the clock
            completed = self._mpbake(["export", "-C", name, "--allow", "all"], values)
            if completed.returncode:
                message = f"export: {completed.stderr.strip()}"
                raise ValueError(message)
            exported = Path(name, "export.json")
            exported.write_text(completed.stdout, encoding="utf-8")
            definition = json.loads(completed.stdout)
            return self._printed(folder, [str(exported)], definition.get("target", {}), environment)

    def _printed(
        self, folder: Path, files: Sequence[str], names: Mapping[str, Any], environment: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return what bake prints. Raises ValueError with its message.

        bake looks for the files of secrets and keys, which are no part of a case. It finds empty ones. It also finds
        empty targets for the parents that only a file of CI defines.
        """
        parents: dict[str, dict[str, Any]] = {}
        with tempfile.TemporaryDirectory() as name:
            for values in folder.glob(".env"):  # bake reads it for Compose files, in its current folder
                shutil.copy(values, name)
            for _ in range(_MOST_ABSENT):
                further = Path(name, "parents.json")
                further.write_text(json.dumps({"target": parents}), encoding="utf-8")
                paths = [*(str(folder / file) for file in files), *([str(further)] if parents else [])]
                command = [self.buildx, "bake", "--print", *(word for path in paths for word in ("-f", path)), *names]
                completed = subprocess.run(
                    command, cwd=name, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
                )
                unknown, absent = _UNKNOWN.search(completed.stderr), _ABSENT.search(completed.stderr)
                if unknown and unknown["name"] not in {*names, *parents}:
                    parents[unknown["name"]] = {}
                    continue
                if completed.returncode == 0 or absent is None:
                    break
                Path(name, absent["path"]).parent.mkdir(parents=True, exist_ok=True)
                Path(name, absent["path"]).touch()
        if completed.returncode:
            message = f"bake --print: {completed.stderr.strip().splitlines()[-1]}"
            raise ValueError(message)
        printed: dict[str, Any] = json.loads(completed.stdout)
        return printed


def _names_of(imported: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """Return the names in the plan by those in the bake files. A changed variable can change the names of rows."""
    originals = {plan_name: name for name, plan_name in names.items()}
    return {originals.get(plan_name, plan_name): plan_name for plan_name in imported["target"]}


def _reported(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the differences that `mpbake import` reports. With frozen values, only those without a changed variable."""
    for run in report["comparisons"]:
        if run["equal"] or (run["variable"] and report["frozen"]):
            continue
        change = f"{run['variable']}={run['value']}: " if run["variable"] else ""
        yield from (
            f"{change}{entry['name']}: {entry['attribute']}: {entry['original']} is {entry['imported']} in the plan"
            for entry in run["differences"]
        )
        if not run["differences"]:
            yield f"{change}bake: {run['bake_error'] or 'accepts this'}; plan: {run['plan_error'] or 'accepts this'}"


def _accepted(report: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the comparisons with a changed variable that were equal, and whose value bake accepts."""
    for run in report["comparisons"]:
        if run["variable"] and run["equal"] and not run["bake_error"]:
            yield run


def _remove(target: dict[str, Any], attribute: str) -> None:
    name, _, key = attribute.partition(".")
    if key and isinstance(target.get(name), dict):
        target[name].pop(key, None)
    else:
        target.pop(name, None)


def importer(buildx: str, folder: Path, environment: Mapping[str, str], changes: int = 1) -> Importer:
    """Return an importer whose docker has the buildx `buildx`. `folder` is private."""
    plugins = folder / "docker" / "cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    if not (plugins / "docker-buildx").exists():
        (plugins / "docker-buildx").symlink_to(Path(buildx).resolve())
    agent = folder / "agent"
    if not agent.exists():
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(agent))  # bake looks for the socket of an agent, and does not use it
    checkout = Path(__file__).resolve().parents[2]
    passed = {name: environment[name] for name in ("HOME", "PATH", "LANG", "TMPDIR") if name in environment}
    own = {
        "DOCKER_CONFIG": str(folder / "docker"),
        "PYTHONPATH": str(checkout),
        "XDG_STATE_HOME": str(folder / "state"),
    }
    own |= {"DOCKER_HOST": f"unix://{folder}{os.sep}none", "SSH_AUTH_SOCK": str(agent)}
    return Importer(buildx=buildx, environment={**passed, **own}, changes=changes)
