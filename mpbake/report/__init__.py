"""Who tells people what happens: plain lines, a live view, and the summary at the end."""

from __future__ import annotations

from mpbake.report.live import LiveReporter
from mpbake.report.plain import PlainReporter
from mpbake.report.summary import errors_text, summary_text, unkept_results_text

__all__ = ["LiveReporter", "PlainReporter", "errors_text", "summary_text", "unkept_results_text"]
