"""Random HCL expressions of known types, from seeds. They use the variables and functions of variables.hcl."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Choice = TypeVar("_Choice")
_TEXTS = ['""', '"a"', '"v1.2"', '"it\'s"', '"x\\"y"', '"a{{b}}"', '"é-ü"', '"a-b_c"', '"web"', '"a,b,a"', '"{"', '"1"']
_TEXTS += ["TAG", "EMPTY", "WORDS", "PATH_", "PUSH", "object.name", "MAP.zeta", 'MAP["items"]', "rows[0].name"]
_PATTERNS = ['"[0-9]+"', '"^v"', '"a|b"', '"x*"', '"[^a-z]"', '"(?i)[A-C]"', '"\\\\d\\\\."', '"\\\\bw"']
_SET_FUNCTIONS = ["setunion", "setsubtract", "setintersection"]
_SEPARATORS = ['","', '"."']
_REPLACEMENTS = ['"x"', '""', '"<$0>"']
_MAX_DEPTH = 4


class Expressions:
    """Generates expressions for one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - not for cryptography
        self._loops: list[str] = []

    def any(self) -> str:
        """Return an expression of any type."""
        kinds = [self._text, self._number, self._truth, self._list, self._table]
        return self._pick(kinds)(_MAX_DEPTH)

    def _pick(self, choices: Sequence[_Choice]) -> _Choice:
        return self._random.choice(choices)

    def _one_of(self, depth: int, simple: Sequence[str], forms: Sequence[Callable[[int], str]]) -> str:
        if depth <= 0 or self._random.random() < 0.15:
            return self._pick(simple)
        return self._pick(forms)(depth - 1)

    def _chosen(self, value: Callable[[int], str]) -> Callable[[int], str]:
        return lambda depth: f"({self._truth(depth)} ? {value(depth)} : {value(depth)})"

    def _text(self, depth: int) -> str:
        simple = [*_TEXTS, *self._loops, *self._loops]
        return self._one_of(depth, simple, [*self._text_forms(), self._template, self._chosen(self._text)])

    def _text_forms(self) -> list[Callable[[int], str]]:
        text, number, strings = self._text, self._number, self._list
        small = self._pick([0, 1, 2, 5])
        pattern = self._pick(_PATTERNS)
        return [
            lambda depth: f"({text(depth)} == {text(depth)} ? {text(depth)} : {text(depth)})",
            lambda depth: f'({text(depth)} != "" ? {text(depth)} : {text(depth)})',
            lambda depth: f"replace({text(depth)}, {self._pick(_TEXTS)}, {text(0)})",
            lambda depth: f"{self._pick(['upper', 'lower', 'trimspace', 'md5', 'sanitize', 'title'])}({text(depth)})",
            lambda depth: f"{self._pick(['basename', 'dirname', 'chomp', 'urlencode', 'reverse'])}({text(depth)})",
            lambda depth: f"{self._pick(['trimprefix', 'trimsuffix', 'trim'])}({text(depth)}, {text(0)})",
            lambda depth: f"substr({text(depth)}, {small}, {self._pick([-1, 0, 1, 3])})",
            lambda depth: f"join({text(0)}, {strings(depth)})",
            lambda depth: f"split({self._pick(_SEPARATORS)}, {text(depth)})[0]",
            lambda depth: f'format("%s-%v/%d", {text(depth)}, {number(depth)}, {number(depth)})',
            lambda depth: f"lookup(MAP, {text(depth)}, {text(depth)})",
            lambda depth: f"lookup({self._table(depth)}, {text(0)}, {text(depth)})",
            lambda depth: f"regex_replace({text(depth)}, {pattern}, {self._pick(_REPLACEMENTS)})",
            lambda depth: f"try(regex({pattern}, {text(0)}), {text(depth)})",
            lambda depth: f"coalesce(UNSET, {text(depth)})",
            lambda depth: f"(UNSET != null ? UNSET : {text(depth)})",
            lambda _: f"element({self._pick(['names', 'LIST'])}, {small})",
            lambda depth: f"tag({text(depth)})",
            lambda depth: f"jsonencode({self._table(depth)})",
        ]

    def _template(self, depth: int) -> str:
        parts = [
            self._pick(["a", "-", "{", "}", ":", " "]) if self._random.random() < 0.4 else self._part(depth)
            for _ in range(self._random.randint(2, 4))
        ]
        return f'"{"".join(parts)}"'

    def _part(self, depth: int) -> str:
        match self._random.randrange(5):
            case 0:
                text = self._pick(["x", "", "y-"])
                return f"%{{ if {self._truth(depth)} }}{text}%{{ else }}${{{self._text(0)}}}%{{ endif }}"
            case 1:
                return f"${{{self._pick([self._number, self._truth])(depth)}}}"
            case _:
                return f"${{{self._text(depth)}}}"

    def _number(self, depth: int) -> str:
        number = self._number
        simple = ["0", "1", "2", "7", "N", "object.port"]
        forms: list[Callable[[int], str]] = [
            lambda depth: f"({number(depth)} {self._pick(['+', '-', '*'])} {number(depth)})",
            lambda depth: f"({number(depth)} % {self._pick([2, 3])})",
            lambda depth: f"floor({number(depth)} / {self._pick([2, 3])})",
            lambda depth: f"ceil({number(depth)} / {self._pick([2, 3])})",
            lambda depth: f"length({self._list(depth)})",
            lambda depth: f"strlen({self._text(depth)})",
            lambda depth: f"{self._pick(['max', 'min'])}({number(depth)}, {number(depth)})",
            self._chosen(self._number),
        ]
        return self._one_of(depth, simple, forms)

    def _truth(self, depth: int) -> str:
        text, number, truth = self._text, self._number, self._truth
        forms: list[Callable[[int], str]] = [
            lambda depth: f"!{truth(depth)}",
            lambda depth: f"({truth(depth)} {self._pick(['&&', '||', '==', '!='])} {truth(depth)})",
            lambda depth: f"({text(depth)} {self._pick(['==', '!='])} {text(depth)})",
            lambda depth: f'({text(depth)} {self._pick(["==", "!="])} "")',
            lambda depth: f"({number(depth)} {self._pick(['<', '>', '<=', '>=', '==', '!='])} {number(depth)})",
            lambda depth: f"{self._pick(['and', 'or', 'equal', 'notequal'])}({truth(depth)}, {truth(depth)})",
            lambda depth: f"not({truth(depth)})",
            lambda depth: f"contains({self._list(depth)}, {text(depth)})",
            lambda _: f"can(regex({self._pick(_PATTERNS)}, {text(0)}))",
            lambda depth: f"(length({self._list(depth)}) {self._pick(['>', '==', '!='])} 0)",
            self._chosen(self._truth),
        ]
        return self._one_of(depth, ["true", "false", "FULL", "OFF", "UNSET == null"], forms)

    def _list(self, depth: int) -> str:
        text, strings = self._text, self._list
        forms: list[Callable[[int], str]] = [
            lambda depth: f"[{text(depth)}, {text(depth)}]",
            lambda depth: f'split(",", {text(depth)})',
            lambda depth: self._loop(depth, "[{clause}: {text}{condition}]"),
            lambda depth: f"concat({strings(depth)}, {strings(depth)})",
            lambda depth: f"{self._pick(['compact', 'distinct', 'sort', 'reverselist'])}({strings(depth)})",
            lambda depth: f"{self._pick(_SET_FUNCTIONS)}({strings(depth)}, {strings(depth)})",
            lambda depth: f'formatlist("x-%s", {strings(depth)})',
            lambda depth: f"flatten([{strings(depth)}, {text(depth)}, [{strings(depth)}]])",
            lambda depth: f"{self._pick(['keys', 'values'])}({self._table(depth)})",
            lambda depth: f"tags({text(depth)}, {text(depth)}, {text(depth)})",
            lambda depth: f"tags({text(depth)}, {strings(depth)}...)",
            lambda _: '[for k, v in MAP: "${k}=${v}"]',
            lambda _: "rows[*].name",
            self._chosen(self._list),
        ]
        return self._one_of(depth, ["names", "LIST", "[]", '["b", "a"]', "SET"], forms)

    def _table(self, depth: int) -> str:
        text = self._text
        forms: list[Callable[[int], str]] = [
            lambda depth: f"{{ b = {text(depth)}, a = {text(depth)} }}",
            lambda depth: f"{{ ({text(depth)}) = {text(depth)} }}",
            lambda depth: f"merge({self._table(depth)}, {self._table(depth)})",
            lambda depth: self._loop(depth, "{{{clause}: {name} => {text}{condition}}}"),
            lambda depth: f'zipmap([{text(0)}, "z"], [{text(depth)}, {text(depth)}])',
        ]
        return self._one_of(depth, ["MAP", "sorted_", '{ a = "1" }'], forms)

    def _loop(self, depth: int, form: str) -> str:
        name = self._pick(["x", "tag", "item", "loop", "N", "first"])
        collection = self._list(depth)
        is_hidden = name in self._loops
        self._loops.append(name)
        text = self._text(depth)
        condition = f" if {self._truth(depth)}" if self._random.random() < 0.3 else ""
        self._loops.pop()
        assert is_hidden == (name in self._loops)
        return form.format(clause=f"for {name} in {collection}", name=name, text=text, condition=condition)
