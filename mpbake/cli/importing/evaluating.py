"""Have bake evaluate the expressions that the plan language cannot express."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import MpbakeError, UsageError
from mpbake.base.text import one_line, printable, shortened
from mpbake.buildkit.bake.printing import BakeRefused
from mpbake.conversion.bake_errors import read_bake_error
from mpbake.conversion.evaluation import evaluated, evaluation_name, evaluation_text
from mpbake.conversion.plan import convert
from mpbake.conversion.secret_names import invented_secrets, without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.buildkit.bake.printing import BakePrinter
    from mpbake.cli.importing.proving import BakeInput
    from mpbake.conversion.bake_errors import BakeProblem
    from mpbake.conversion.plan.conversion import Conversion, Frozen, FrozenKey

_ROUNDS = 3
"""How often expressions are evaluated: a value may reveal another expression."""
_MOST_ERRORS = 10
"""The number of expressions that bake refuses before mpbake stops."""
_LONGEST = 80
_LONGEST_MESSAGE = 100
_DEFINE = "define it, or name all files that bake gets, in the same order"
_NOTHING: Mapping[str, str] = {}


@dataclass(kw_only=True)
class Evaluator:
    """Evaluates expressions of bake files. `environment` has the present values of variables.

    A value must not depend on the user's environment, unless bake refuses the files without it. It never has a secret
    of the environment, since the plan is committed. `invented` are the variables that got another value instead.
    """

    source: BakeInput
    printer: BakePrinter
    environment: Mapping[str, str]
    invented: tuple[str, ...] = ()
    _errors: list[MpbakeError] = field(default_factory=list)

    def with_values(self, conversion: Conversion) -> Conversion:
        """Return the conversion with the values of all expressions that it lacks. Raises UsageError, NoBuildx."""
        values: dict[FrozenKey, Any] = {}
        for _ in range(_ROUNDS):
            missing = [entry for entry in conversion.frozen if not entry.written and entry.key not in values]
            if not missing:
                break
            values |= self._values(missing)
            conversion = convert(self.source.content, values)
        if any(not entry.written for entry in conversion.frozen):
            raise not_evaluated(conversion.frozen)
        return conversion

    def _values(self, frozen: Sequence[Frozen]) -> dict[FrozenKey, Any]:
        """Return the values of expressions: without the user's environment, and with it where bake needs it."""
        values = self._evaluate(frozen, _NOTHING)
        refused = [entry for entry in frozen if entry.key not in values]
        if refused and self.environment:
            self._errors.clear()
            with_environment = self._evaluate(refused, without_secrets(self.environment))
            if with_environment:
                self.invented = invented_secrets(self.environment)
            values |= with_environment
        if self._errors:
            raise UsageError.joined([*{error.message: error for error in self._errors}.values()])
        return values

    def _evaluate(self, frozen: Sequence[Frozen], environment: Mapping[str, str]) -> dict[FrozenKey, Any]:
        """Return the values of the expressions that bake accepts, and collect the errors of the others."""
        if len(self._errors) >= _MOST_ERRORS:
            return {}
        names = [evaluation_name(index) for index in range(len(frozen))]
        text = evaluation_text(frozen, self.source.content)
        try:
            return evaluated(frozen, self.printer.printed_with(self.source.files, text, names, environment).targets)
        except BakeRefused as error:
            if len(frozen) > 1:
                parts = [self._evaluate([entry], environment) for entry in frozen]
                return {key: value for part in parts for key, value in part.items()}
            return self._alone(frozen[0], text, error)
        except (ValueError, LookupError):
            raise not_evaluated(frozen) from None

    def _alone(self, frozen: Frozen, text: str, refusal: BakeRefused) -> dict[FrozenKey, Any]:
        """Return the value of an expression that needs nothing from the files, such as the platform of the machine."""
        problem = read_bake_error(refusal.message, self.source.files)
        try:
            return evaluated([frozen], self.printer.printed_with((), text, [evaluation_name(0)], {}).targets)
        except BakeRefused as alone:
            own = read_bake_error(alone.message, ())
            is_certain = own.unknown == "function" or own.text == frozen.reason
            if is_certain and own.text != problem.text:  # bake names one error of all files, in no fixed order
                problem = own
        self._errors.append(_refused(frozen, problem))
        return {}


def _place(entry: Frozen) -> str:
    line = f":{entry.place.line}" if entry.place.line else ""
    return f"{entry.place.file}{line}" if entry.place.file else ""


def _shown(text: str) -> str:
    return shortened(one_line(text.strip()), _LONGEST)


def _lines(message: str) -> str:
    """Return a message with bake's details, which follow a semicolon, on a line of their own if it is long."""
    return printable(message.replace("; ", "\n", 1) if len(message) > _LONGEST_MESSAGE else message)


def _refused(entry: Frozen, problem: BakeProblem) -> MpbakeError:
    """Return the error of an expression that bake cannot evaluate. `problem` may be elsewhere in the files."""
    if problem.unknown:
        hint = f'write "{problem.near}"' if problem.near else _DEFINE
        return UsageError(printable(f"{problem.place or _place(entry)}: {problem.text}"), hint=hint)
    if problem.place:
        hint = "correct this, or set the variables that it needs"
        return UsageError(_lines(f"{problem.place}: bake refuses this: {problem.text}"), hint=hint)
    return UsageError(
        _lines(f"{_place(entry)}: bake cannot evaluate this: {problem.text}"),
        hint=f"replace the expression by its value: {_shown(entry.expression.text)}",
    )


def not_evaluated(frozen: Sequence[Frozen], error: MpbakeError | None = None) -> MpbakeError:
    """Return the error of expressions that could not be given to bake. `error` is the reason."""
    entry = next(entry for entry in frozen if not entry.written)
    where = f"{_place(entry)}: " if _place(entry) else ""
    message = f"{where}a plan cannot express this ({_shown(entry.reason)}), and bake cannot evaluate it"
    reason = f"\n{error.message}" if error else ""
    hint = (error.hint if error else "") or f"replace the expression by its value: {_shown(entry.expression.text)}"
    return UsageError(printable(f"{message}{reason}"), hint=hint)
