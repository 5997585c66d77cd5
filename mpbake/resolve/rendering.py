"""Whole values rendered and checked, with the key of everything that goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from mpbake.spec import BuilderSpec, Problem, TargetSpec, problems_of
from mpbake.template import Renderer, TemplateProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mpbake.errors import KeyPath

Table = TypeVar("Table", BuilderSpec, TargetSpec)

_MAX_DEPTH = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendering:
    """Renders whole values and collects what goes wrong, with the key that it went wrong at."""

    renderer: Renderer
    problems: list[Problem]

    def value(
        self, value: Any, scope: Mapping[str, Any], where: Callable[[KeyPath], KeyPath], path: KeyPath = ()
    ) -> Any:
        """`value` with every template in it filled in; items of lists that come out empty are dropped.

        `where` tells the place in the file of a path below this value.
        """
        if len(path) > _MAX_DEPTH:
            self.problems.append(Problem(key=where(path[:2]), message="nested too deeply"))
            return ""
        match value:
            case str():
                return self._text(value, scope, where, path)
            case list():
                items = (self.value(item, scope, where, (*path, index)) for index, item in enumerate(value))
                return [item for item in items if item != ""]
            case dict():
                return {key: self.value(item, scope, where, (*path, key)) for key, item in value.items()}
            case _:
                return value

    def _text(self, text: str, scope: Mapping[str, Any], where: Callable[[KeyPath], KeyPath], path: KeyPath) -> Any:
        try:
            return self.renderer.render(text, scope)
        except TemplateProblem as error:
            message, _, hint = str(error).partition("\n")
            self.problems.append(Problem(key=where(path), message=message, hint=hint))
            return ""

    def table(self, model: type[Table], raw: Any, where: Callable[[KeyPath], KeyPath]) -> Table:
        """Check rendered values against the model once more, now without leave for templates."""
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            # Where a template could not be rendered, what stands in for its value is no second mistake.
            known = {each.key for each in self.problems}
            found = [replace(each, key=where(each.key)) for each in problems_of(error, model)]
            self.problems.extend(each for each in found if each.key not in known)
            return model()
