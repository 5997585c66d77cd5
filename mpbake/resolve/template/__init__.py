"""Strict, sandboxed Jinja2: the same values always give the same text, and a template cannot leave its box."""

from __future__ import annotations

from mpbake.resolve.template.renderer import RESERVED, Renderer, TemplateProblem

__all__ = ["RESERVED", "Renderer", "TemplateProblem"]
