"""Read bake files in HCL, and single expressions and templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.errors import PlanError
from mpbake.conversion.reading.hcl.blocks import FileReader
from mpbake.conversion.reading.hcl.expressions import ExpressionReader
from mpbake.conversion.reading.hcl.grammar import parse_body
from mpbake.conversion.reading.hcl.scanner import scan_expression, scan_file, scan_template
from mpbake.conversion.reading.hcl.source import Source, read_source
from mpbake.conversion.reading.hcl.syntax_errors import other_format
from mpbake.conversion.syntax import NOWHERE

if TYPE_CHECKING:
    from mpbake.conversion.syntax import BakeFile, Expression, Place


def read_hcl(text: str, path: str) -> BakeFile:
    """Return a bake file in HCL that messages call `path`. Raises PlanError, and UsageError without python-hcl2."""
    source = read_source(text, path)
    try:
        code, scan = scan_file(source)
        return FileReader(ExpressionReader(source, scan)).read(parse_body(code, source))
    except PlanError as error:
        raise other_format(source) or error from None


def read_expression(text: str, place: Place = NOWHERE, excerpt: str = "") -> Expression:
    """Return an expression such as `list(string)` or `a ? b : c`. Raises PlanError.

    Errors have the place of the text, and show the line `excerpt`.
    """
    source = Source(text, place.file, within=(place, excerpt))
    code, scan = scan_expression(source)
    return ExpressionReader(source, scan).parse(code)


def read_template(text: str, place: Place = NOWHERE, excerpt: str = "") -> Expression:
    """Return a string without quotes, as in a JSON file: a literal, or a template. Raises PlanError.

    Errors have the place of the text, and show the line `excerpt`.
    """
    source = Source(text, place.file, within=(place, excerpt))
    string, scan = scan_template(source)
    return ExpressionReader(source, scan).template(string)
