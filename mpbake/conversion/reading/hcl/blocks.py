"""Make the blocks of a file in HCL of the parse tree of python-hcl2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.codes import Code as Problem
from mpbake.base.errors import PlanError
from mpbake.conversion.reading.hcl.block_builder import BlockBuilder, Body, NestedBlock
from mpbake.conversion.syntax import BakeFile, Entry, Format, Literal

if TYPE_CHECKING:
    from mpbake.base.errors import Diagnostic
    from mpbake.conversion.reading.hcl.expressions import ExpressionReader
    from mpbake.conversion.reading.hcl.grammar import Node
    from mpbake.conversion.syntax import Comments, Expression


class FileReader:
    """Reads the blocks of a file in HCL, and collects its problems."""

    def __init__(self, reader: ExpressionReader) -> None:
        self._reader = reader
        self._source = reader.source
        self._problems: list[Diagnostic] = []

    def read(self, node: Node) -> BakeFile:
        """Return the file. Raises PlanError with all problems."""
        heading = self._heading(node)
        body = self._body(node, 0, len(self._source.text))
        builder = BlockBuilder(self._source)
        blocks = builder.build(body)
        if problems := [*self._problems, *builder.problems]:
            raise PlanError(problems)
        return BakeFile(
            path=self._source.path,
            format=Format.HCL,
            blocks=blocks,
            heading=heading,
            trailing=body.trailing,
            ignored=tuple(builder.ignored),
        )

    def _heading(self, node: Node) -> tuple[str, ...]:
        """Return the comments at the top that an empty line separates from the first block."""
        if not node.parts:
            return ()
        comments = self._reader.comments.between(0, node.start)
        next_lines = [comment.first_line for comment in comments[1:]] + [self._source.line(node.start)]
        gaps = [
            index
            for index, (comment, line) in enumerate(zip(comments, next_lines, strict=False))
            if line > comment.last_line + 1
        ]
        return self._reader.comments.take(comments[: gaps[-1] + 1]) if gaps else ()

    def _body(self, node: Node, start: int, end: int) -> Body:
        """Return the content of a file or block between two offsets, nested blocks first."""
        self._check_lines(node)
        self._check_names(node)
        contents = [
            self._body_of(part) if part.kind == "block" else self._reader.read(part.parts[2]) for part in node.parts
        ]
        spans = [(part.start, part.end) for part in node.parts]
        attached = self._reader.comments.attach(spans, start, end)
        items = [
            self._item(part, content, comments)
            for part, content, comments in zip(node.parts, contents, attached.entries, strict=True)
        ]
        return Body(items=tuple(items), trailing=attached.trailing)

    def _body_of(self, block: Node) -> Body:
        opening, body, closing = block.parts[-3:]
        return self._body(body, opening.start, closing.start)

    def _item(self, part: Node, content: Body | Expression, comments: Comments) -> Entry | NestedBlock:
        name, place = self._reader.text(part.parts[0]), self._source.place(part.start)
        if not isinstance(content, Body):
            return Entry(name=name, value=content, place=place, comments=comments)
        labels = tuple(self._label(label) for label in part.parts[1:-3])
        return NestedBlock(kind=name, labels=labels, body=content, place=place, comments=comments)

    def _label(self, node: Node) -> str:
        if node.kind != "string":
            return self._reader.text(node)
        match self._reader.read(node):
            case Literal(value=str(label)):
                return label
            case _:
                self._add(node, "the name of a block must not be a template", "write the name itself")
                return ""

    def _check_lines(self, node: Node) -> None:
        """Report attributes and blocks that follow another one in its line."""
        for before, after in zip(node.parts, node.parts[1:], strict=False):
            if self._source.line(before.end - 1) == self._source.line(after.start):
                name = self._reader.text(after.parts[0])
                self._add(after, f"expected a new line before `{name[:40]}`", "write it in a line of its own")

    def _check_names(self, node: Node) -> None:
        """Report attributes that a body has twice."""
        lines: dict[str, int] = {}
        for part in node.parts:
            name = self._reader.text(part.parts[0])
            if part.kind == "attribute" and name in lines:
                hint = "remove one of them"
                self._add(part, f"`{name[:40]}` is already set in line {lines[name]}", hint, Problem.DUPLICATE_KEY)
            elif part.kind == "attribute":
                lines[name] = self._source.place(part.start).line

    def _add(self, node: Node, message: str, hint: str, code: Problem = Problem.HCL_SYNTAX) -> None:
        length = node.parts[0].end - node.start if node.parts else 1
        self._problems.append(self._source.problem(node.start, message, length=length, hint=hint, code=code))
