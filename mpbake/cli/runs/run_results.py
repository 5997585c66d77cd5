"""The end of a run: print the summary and the errors, and record the results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError, system_error
from mpbake.base.text import one_line
from mpbake.report.progress.metadata import write_metadata
from mpbake.report.progress.summary import errors_text, summary_text, unkept_results_text
from mpbake.run.state.directory import FOLDER, write_durations
from mpbake.run.state.published import published_by, remember_published

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from mpbake.cli.options import RunOptions
    from mpbake.cli.world import World
    from mpbake.graph.dag import BuildGraph
    from mpbake.graph.estimates import Recorded
    from mpbake.run.events import RunFinished


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResults:
    """The results of a run, and the files that record them.

    `root` is the folder of the plan, `metadata` the file of `--metadata-file`, `durations` the recorded build times.
    """

    options: RunOptions
    world: World
    graph: BuildGraph
    finished: RunFinished
    root: Path
    metadata: Path | None
    durations_file: Path
    durations: Recorded

    def report(self) -> int:
        """Print and record all results. Return 1 if the file of `--metadata-file` could not be written, else 0."""
        codes = call_all(
            self._print_summary,
            self._print_errors,
            self._record_published,
            self._write_metadata,
            self._record_durations,
        )
        return max(codes)

    def _print_summary(self) -> int:
        if not self.options.quiet:
            self.world.stdout.write(summary_text(self.graph, self.finished))
            self.world.stdout.flush()
        return 0

    def _print_errors(self) -> int:
        """Print warnings about results that stay in the build cache, then every error.

        `--no-push` suppresses the warnings.
        """
        if not self.options.quiet and self.options.overrides.push is not False:
            self.world.stderr.write(unkept_results_text(self.graph, self.finished))
        self.world.stderr.write(errors_text(self.finished))
        return 0

    def _record_published(self) -> int:
        """Record the published images for `mpbake verify`."""
        warnings = remember_published(self.root / FOLDER, published_by(self.finished.results))
        self._warn(warnings)
        return 0

    def _write_metadata(self) -> int:
        if self.metadata is None:
            return 0
        try:
            write_metadata(self.metadata, self.graph, self.finished, self.world.redactor.redact)
        except OSError as error:
            self.world.stderr.write(f"\nerror: {system_error(error, f'--metadata-file {self.metadata}')}\n")
            return MpbakeError.exit_code
        return 0

    def _record_durations(self) -> int:
        """Record the build times for later runs. A failure is only a warning."""
        try:
            write_durations(self.durations_file, self.durations)
        except OSError as error:
            self._warn([f"{self.durations_file}: {error.strerror}: the durations of builds are not recorded"])
        return 0

    def _warn(self, warnings: Iterable[str]) -> None:
        if not self.options.quiet:
            self.world.stderr.writelines([f"warning: {one_line(warning)}\n" for warning in warnings])


def call_all(*actions: Callable[[], int]) -> list[int]:
    """Call every action, even after a failure, and return the results. Raises the last error."""
    codes: list[int] = []
    failure: Exception | None = None
    for action in actions:
        try:
            codes.append(action())
        except Exception as error:  # noqa: BLE001 - the error is raised below
            failure = error
    if failure is not None:
        raise failure
    return codes
