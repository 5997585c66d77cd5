"""Whole values rendered and checked, with the key of everything that goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from mpbake.base.codes import Code
from mpbake.resolve.sensitive import SensitiveGuard, TextUse
from mpbake.resolve.template import Renderer, TemplateProblem
from mpbake.spec.builder_tables import BuilderSpec
from mpbake.spec.problem import Problem
from mpbake.spec.target_tables import PlatformSpec, TargetSpec
from mpbake.spec.validation import problems_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mpbake.base.errors import KeyPath

Table = TypeVar("Table", BuilderSpec, TargetSpec, PlatformSpec)

_MAX_DEPTH = 50


def drop_empty_strings(value: Any) -> Any:
    """`value` without the empty strings in its lists, however deep."""
    match value:
        case list():
            return [drop_empty_strings(each) for each in value if each != ""]
        case dict():
            return {key: drop_empty_strings(each) for key, each in value.items()}
        case _:
            return value


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueRenderer:
    """Renders whole values and collects what goes wrong, with the key that it went wrong at.

    `guard` sees everything that is rendered.
    """

    renderer: Renderer
    problems: list[Problem]
    guard: SensitiveGuard = field(default_factory=SensitiveGuard)

    def value(
        self, value: Any, scope: Mapping[str, Any], where: Callable[[KeyPath], KeyPath], path: KeyPath = ()
    ) -> Any:
        """`value` with every template in it filled in. `where` tells the place in the file of a path below it.

        Items of lists that come out empty mean nothing, but keep their places: see `without_empty`.
        """
        if len(path) > _MAX_DEPTH:
            self.problems.append(Problem(code=Code.TOO_DEEP, key=where(path[:2]), message="nested too deeply"))
            return ""
        match value:
            case str():
                return self._text(value, scope, where, path)
            case list():
                return [self.value(item, scope, where, (*path, index)) for index, item in enumerate(value)]
            case dict():
                return {key: self.value(item, scope, where, (*path, key)) for key, item in value.items()}
            case _:
                return value

    def _text(self, text: str, scope: Mapping[str, Any], where: Callable[[KeyPath], KeyPath], path: KeyPath) -> Any:
        try:
            rendered = self.renderer.render(text, scope)
        except TemplateProblem as error:
            self.guard.note_place(text, where(path), self.renderer)
            message, _, hint = str(error).partition("\n")
            self.problems.append(
                Problem(code=error.code, key=where(path), message=message, hint=hint, culprit=error.culprit)
            )
            return ""
        if self.guard.minds(text, rendered):
            use = TextUse(text=text, rendered=rendered, scope=scope, where=where, path=path)
            self.problems.extend(self.guard.look(use, self.renderer))
        return rendered

    def table(self, model: type[Table], raw: Any, where: Callable[[KeyPath], KeyPath]) -> Table:
        """Check rendered values against the model once more, now without leave for templates: empty if wrong."""
        return self.sound(model, raw, where) or model()

    def sound(self, model: type[Table], raw: Any, where: Callable[[KeyPath], KeyPath]) -> Table | None:
        """What `table` says, or None where something is wrong.

        That is told once for each place, however many rows of a matrix have it.
        """
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            # Where a template could not be rendered, what stands in for its value is no second mistake.
            known = {each.key for each in self.problems}
            found = [replace(each, key=where(each.key)) for each in problems_of(error, model)]
            self.problems.extend(each for each in found if each.key not in known)
            return None
