"""Rendering and validation of whole values, with the key of every problem."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from mpbake.base.codes import Code
from mpbake.resolve.bound_text import BoundText
from mpbake.resolve.sensitive import SensitiveGuard, TextUse
from mpbake.resolve.template import PlanTooLargeError, Renderer, TemplateProblem
from mpbake.spec.problem import Problem
from mpbake.spec.tables.builder_tables import BuilderSpec
from mpbake.spec.tables.target_tables import PlatformSpec, TargetSpec
from mpbake.spec.tables.validation import problems_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mpbake.base.errors import KeyPath

Spec = TypeVar("Spec", BuilderSpec, TargetSpec, PlatformSpec)

_MAX_DEPTH = 50


def drop_absent(value: Any) -> Any:
    """Return `value` without the empty strings in its lists and without entries that are None, at any depth."""
    match value:
        case list():
            return [drop_absent(item) for item in value if item is not None and item != ""]
        case dict():
            return {key: drop_absent(item) for key, item in value.items() if item is not None}
        case _:
            return value


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueRenderer:
    """Renders whole values and adds each problem, with its key, to `problems`.

    `guard` checks every rendered text for sensitive values. A text that uses one of the variables `unknown`, whose
    values have problems, is not rendered.
    """

    templates: Renderer
    problems: list[Problem]
    guard: SensitiveGuard = field(default_factory=SensitiveGuard)
    unknown: frozenset[str] = frozenset()

    def render(
        self, value: Any, scope: Mapping[str, Any], key_of: Callable[[KeyPath], KeyPath], path: KeyPath = ()
    ) -> Any:
        """Render every template in `value`, and return the result.

        `key_of` maps a path within the whole value to its key in the plan; `path` is the path of `value` itself. List
        items that render to an empty string or to None stay, so that indices still match the plan: see `drop_absent`.
        Raises PlanTooLargeError.
        """
        if len(path) > _MAX_DEPTH:
            self.problems.append(Problem(code=Code.TOO_DEEP, key=key_of(path[:2]), message="nested too deeply"))
            return ""
        try:
            match value:
                case str():
                    return self._render_text(value, scope, key_of, path)
                case list():
                    self.templates.budget.keep_items(len(value))
                    return [self.render(item, scope, key_of, (*path, index)) for index, item in enumerate(value)]
                case dict():
                    self.templates.budget.keep_items(len(value))
                    return {key: self.render(item, scope, key_of, (*path, key)) for key, item in value.items()}
                case _:
                    return value
        except PlanTooLargeError as error:
            error.key = error.key or key_of(path)
            raise

    def _render_text(
        self, text: str, scope: Mapping[str, Any], key_of: Callable[[KeyPath], KeyPath], path: KeyPath
    ) -> Any:
        if isinstance(text, BoundText):
            self.templates.budget.spend(len(scope))
            scope = {**scope, **text.binding.values}
        if self.unknown and not self.unknown.isdisjoint(self.templates.names(text)):
            key = key_of(path)
            self.problems.append(Problem(code=Code.VARIABLE_TYPE, key=key, message="", is_follow_up=True))
            return ""
        try:
            rendered = self.templates.render(text, scope)
        except TemplateProblem as error:
            self.guard.record_place(text, key_of(path), self.templates)
            message, _, hint = str(error).partition("\n")
            self.problems.append(
                Problem(code=error.code, key=key_of(path), message=message, hint=hint, culprit=error.culprit)
            )
            return ""
        self.templates.budget.keep_result(rendered)
        if self.guard.needs_check(text, rendered):
            use = TextUse(text=text, rendered=rendered, scope=scope, key_of=key_of, path=path)
            self.problems.extend(self.guard.check(use, self.templates))
        return rendered

    def validated(self, model: type[Spec], rendered: Any, key_of: Callable[[KeyPath], KeyPath]) -> Spec:
        """Validate rendered values, in which templates are not allowed. Return an empty table for invalid values."""
        return self.validated_or_none(model, rendered, key_of) or model()

    def validated_or_none(self, model: type[Spec], rendered: Any, key_of: Callable[[KeyPath], KeyPath]) -> Spec | None:
        """Validate rendered values as `validated` does, but return None for invalid values.

        A key that already has a problem gets no second problem, even if many rows of a matrix share the key.
        """
        try:
            return model.model_validate(rendered)
        except ValidationError as error:
            # A failed template leaves a replacement value, whose validation error would only repeat the problem.
            reported = {problem.key for problem in self.problems}
            problems = [replace(problem, key=key_of(problem.key)) for problem in problems_of(error, model)]
            self.problems.extend(problem for problem in problems if problem.key not in reported)
            return None
