"""The line ends of an inline Dockerfile."""

from __future__ import annotations

from dataclasses import replace

from mpbake.conversion.normal_forms import HEREDOC
from mpbake.conversion.parts import walk
from mpbake.conversion.syntax import Expression, Literal, Template, TemplateIf


def with_plain_lines(dockerfile: Expression) -> Expression:
    """Return an inline Dockerfile without the carriage returns of a file with the line ends of Windows.

    The parser of Dockerfiles ignores them, except in a heredoc: a Dockerfile with a heredoc stays as it is.
    """
    literals = [part.value for part in walk(dockerfile) if isinstance(part, Literal)]
    has_heredoc = any(isinstance(text, str) and HEREDOC in text for text in literals)
    return dockerfile if has_heredoc else _plain(dockerfile)


def _plain(expression: Expression) -> Expression:
    match expression:
        case Literal(value=str() as text):
            return replace(expression, value=text.replace("\r\n", "\n"))
        case Template(parts=parts):
            return replace(expression, parts=tuple(map(_plain, parts)))
        case TemplateIf(then=then, otherwise=otherwise):
            return replace(expression, then=_plain(then), otherwise=_plain(otherwise))
        case _:
            return expression
