"""The tables of formats and reporters. Each line names a module, which is imported only when used.

A new format is one module with a function of the table's type, and one line here. The choices and the help text of
`--format` follow from the tables.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TextIO, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from mpbake.base.errors import SourceLine
    from mpbake.base.platforms import Platform
    from mpbake.certs.inventory import CertificateInventory
    from mpbake.model.plan import Plan, Target
    from mpbake.report.diagnostics.check_report import CheckReport
    from mpbake.report.doctor.doctor_report import DoctorReport
    from mpbake.report.importing.import_report import ImportReport
    from mpbake.review.diff.plan_diff import PlanDiff
    from mpbake.review.plan_review import PlanReview
    from mpbake.run.events import Reporter

    PlanFormat = Callable[[PlanReview], str]
    """Converts a plan to text."""
    DiffFormat = Callable[[PlanDiff], str]
    """Converts the diff of two plans to text."""
    DiagnosticsFormat = Callable[[CheckReport], str]
    """Converts the result of `mpbake check` to text."""
    DoctorFormat = Callable[[DoctorReport], str]
    """Converts the result of `mpbake doctor` to text."""
    ImportFormat = Callable[[ImportReport], str]
    """Converts the result of `mpbake import` to text."""
    SchemaFormat = Callable[[], str]
    """Returns a description of plan files or of plans."""
    CertificateFormat = Callable[[CertificateInventory, Callable[[Path], str]], str]
    """Converts the certificates of a plan to text. The second argument returns the path of a file for messages."""
    ExportFormat = Callable[[Plan, Sequence[Target], Sequence[Platform]], "Export"]
    """Converts targets to text for another tool. The given platforms, if any, replace the platforms of the targets.
    """
    ReporterFactory = Callable[[TextIO, Callable[[], float], "ReportStyle"], Reporter]
    """Returns a reporter that writes to a stream. The second argument is a clock that returns seconds."""

Function = TypeVar("Function")


@dataclass(frozen=True, kw_only=True, slots=True)
class Implementation(Generic[Function]):
    """A function that is imported on first use. `about` is the function's description in the help text."""

    name: str
    about: str
    module: str
    function: str

    def load(self) -> Function:
        """Import the module, and return its function."""
        return cast("Function", getattr(importlib.import_module(self.module), self.function))


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """Exported targets: text for another tool, and warnings about settings that the tool cannot express."""

    text: str
    losses: tuple[str, ...] = ()


def _no_path(source: SourceLine) -> str:  # noqa: ARG001 - the type of `checkout_path`
    return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportStyle:
    """How much a reporter prints: `verbose` adds the output of builds, `quiet` prints no progress at all.

    `checkout_path` returns the path of a file in the checkout of a CI job, or an empty string if the checkout has no
    such line. `now` returns the date and time.
    """

    now: Callable[[], datetime]
    verbose: bool = False
    quiet: bool = False
    colour: bool = False
    checkout_path: Callable[[SourceLine], str] = _no_path


def _by_name(*implementations: Implementation[Function]) -> Mapping[str, Implementation[Function]]:
    return {implementation.name: implementation for implementation in implementations}


PLAN_FORMATS: Mapping[str, Implementation[PlanFormat]] = _by_name(
    Implementation(name="text", about="for review", module="mpbake.report.plan.plan_text", function="plan_text"),
    Implementation(name="json", about="for programs", module="mpbake.report.plan.plan_json", function="plan_json"),
    Implementation(
        name="markdown",
        about="for a comment",
        module="mpbake.report.plan.plan_markdown",
        function="plan_markdown",
    ),
    Implementation(
        name="mermaid", about="a flowchart", module="mpbake.report.plan.pictures.mermaid", function="plan_mermaid"
    ),
    Implementation(name="dot", about="for Graphviz", module="mpbake.report.plan.pictures.dot", function="plan_dot"),
)
DIFF_FORMATS: Mapping[str, Implementation[DiffFormat]] = _by_name(
    Implementation(name="text", about="for people", module="mpbake.report.diff.diff_text", function="diff_text"),
    Implementation(
        name="markdown",
        about="a comment on a pull request",
        module="mpbake.report.diff.diff_markdown",
        function="diff_markdown",
    ),
    Implementation(name="json", about="for programs", module="mpbake.report.diff.diff_json", function="diff_json"),
)
DIAGNOSTICS_FORMATS: Mapping[str, Implementation[DiagnosticsFormat]] = _by_name(
    Implementation(
        name="text", about="for people", module="mpbake.report.diagnostics.diagnostics_text", function="report_text"
    ),
    Implementation(
        name="json", about="for programs", module="mpbake.report.diagnostics.diagnostics_json", function="report_json"
    ),
    Implementation(
        name="github",
        about="annotations of a GitHub workflow",
        module="mpbake.report.diagnostics.diagnostics_github",
        function="report_github",
    ),
)
CERTIFICATE_FORMATS: Mapping[str, Implementation[CertificateFormat]] = _by_name(
    Implementation(
        name="text", about="for people", module="mpbake.report.plan.certificate_text", function="certificates_text"
    ),
    Implementation(
        name="json", about="for programs", module="mpbake.report.plan.certificate_json", function="certificates_json"
    ),
)
EXPORT_FORMATS: Mapping[str, Implementation[ExportFormat]] = _by_name(
    Implementation(
        name="bake", about="JSON for docker buildx bake", module="mpbake.report.plan.bake_definition", function="export"
    ),
)
DOCTOR_FORMATS: Mapping[str, Implementation[DoctorFormat]] = _by_name(
    Implementation(name="text", about="for people", module="mpbake.report.doctor.doctor_text", function="doctor_text"),
    Implementation(
        name="json", about="for programs", module="mpbake.report.doctor.doctor_json", function="doctor_json"
    ),
)
IMPORT_FORMATS: Mapping[str, Implementation[ImportFormat]] = _by_name(
    Implementation(
        name="text", about="for people", module="mpbake.report.importing.import_text", function="import_text"
    ),
    Implementation(
        name="json", about="for programs", module="mpbake.report.importing.import_json", function="import_json"
    ),
)
SCHEMA_FORMATS: Mapping[str, Implementation[SchemaFormat]] = _by_name(
    Implementation(name="json", about="the JSON Schema", module="mpbake.spec.schema", function="schema_text"),
    Implementation(
        name="plan",
        about="the JSON Schema of `mpbake plan --format json`",
        module="mpbake.review.document.schema",
        function="document_schema_text",
    ),
    Implementation(
        name="markdown", about="the reference of all keys", module="mpbake.spec.reference", function="reference_text"
    ),
    Implementation(
        name="diagnostics",
        about="the page on every diagnostic",
        module="mpbake.spec.explanations",
        function="diagnostics_page",
    ),
)
REPORTERS: Mapping[str, Implementation[ReporterFactory]] = _by_name(
    Implementation(
        name="live", about="redraws running steps", module="mpbake.report.progress.live", function="live_reporter"
    ),
    Implementation(
        name="plain", about="a line for each event", module="mpbake.report.progress.plain", function="plain_reporter"
    ),
    Implementation(
        name="github",
        about="groups and annotations of a GitHub workflow",
        module="mpbake.report.progress.github",
        function="github_reporter",
    ),
    Implementation(
        name="gitlab",
        about="collapsible sections of a GitLab job",
        module="mpbake.report.progress.gitlab",
        function="gitlab_reporter",
    ),
)


def format_help(table: Mapping[str, Implementation[Function]]) -> str:
    """Return the help text of a `--format` option: each format with its purpose."""
    choices = [f"{choice.name} ({choice.about})" for choice in table.values()]
    return f"Output format: {', '.join(choices)}."
