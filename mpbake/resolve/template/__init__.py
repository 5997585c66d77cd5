"""Strict, sandboxed Jinja2 templates: the same values always give the same text, and code cannot leave the sandbox."""

from __future__ import annotations

from mpbake.resolve.template.budget import PLAN_TOO_LARGE_HINT, PlanLimits, PlanTooLargeError
from mpbake.resolve.template.functions import Function
from mpbake.resolve.template.renderer import RESERVED, Renderer, TemplateProblem

__all__ = [
    "PLAN_TOO_LARGE_HINT",
    "RESERVED",
    "Function",
    "PlanLimits",
    "PlanTooLargeError",
    "Renderer",
    "TemplateProblem",
]
