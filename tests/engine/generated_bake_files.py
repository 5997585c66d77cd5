"""Bake files from a seed, which bake accepts. All names contain the seed, so that bake can read many files at once.

Known differences are left out: bake prints "-0" for a negative zero, and its `upper` keeps "ß".
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Form: TypeAlias = "Callable[[], str]"

_TEXTS = (
    "",
    "a",
    "latest",
    "1.2.3",
    "v1.10",
    "01",
    "true",
    "null",
    "two words",
    " around ",
    "a,b,,c",
    "a/b",
    "x-y_z",
    "it's",
    'say "hi"',
    "back\\slash",
    "tab\there",
    "new\nline",
    "{{ x }}",
    "{% if y %}",
    "{# z #}",
    "}} %}",
    "${A}",
    "%{b}",
    "$ % # //",
    "Grün µ 漢",
)
_WORDS = ("debian", "alpine", "1.22", "1.23", "3.14", "edge", "slim", "x86")
_ONE_PLATFORM = '["linux/amd64"]'
_TWO_PLATFORMS = '["linux/amd64", "linux/arm64"]'
_PATTERNS = ("[0-9]+", "^v", "[a-z]+", "(a|b)", "\\\\.", "[^a-z]")
_ENDING = {"\n": "\\n", "\t": "\\t", "\\": "\\\\", '"': '\\"'}


@dataclass(frozen=True, kw_only=True)
class GeneratedBakeFile:
    """The text of a bake file, its targets, and other values for its variables."""

    text: str
    targets: tuple[str, ...]
    changes: Mapping[str, str]


def generated_bake_file(seed: int) -> GeneratedBakeFile:
    """Return the bake file of a seed."""
    return _Generator(seed).file()


def quoted(text: str) -> str:
    """Return a text as a string in HCL."""
    escaped = "".join(_ENDING.get(character, character) for character in text)
    return '"' + escaped.replace("${", "$${").replace("%{", "%%{") + '"'


def _target_block(name: str, attributes: Iterable[str]) -> str:
    lines = "".join(f"  {line}\n" for line in attributes)
    return f'target "{name}" {{\n{lines}}}\n'


@dataclass(kw_only=True)
class _Names:
    """The names that an expression may use, by the type of their values."""

    texts: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    nullable: list[str] = field(default_factory=list)

    def with_texts(self, *names: str) -> _Names:
        return _Names(
            texts=[*self.texts, *names, *names],  # twice: a local name is used more often
            numbers=self.numbers,
            flags=self.flags,
            lists=self.lists,
            nullable=self.nullable,
        )


class _Generator:
    """Draws the parts of one bake file. Each expression has a type, so that bake can evaluate it."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - files for tests
        self._seed = seed
        self._names = _Names()
        self._functions: list[tuple[str, int]] = []
        self._changes: dict[str, str] = {}
        self._built: list[str] = []
        self._parents: list[str] = []
        self._loops = 0

    def file(self) -> GeneratedBakeFile:
        blocks = [self._variable(number) for number in range(self._random.randint(1, 4))]
        blocks += [self._function(number) for number in range(self._random.randint(0, 2))]
        blocks += [self._parent(number) for number in range(self._random.randint(0, 2))]
        blocks += [self._target(number) for number in range(self._random.randint(1, 3))]
        if self._chance(0.2):
            self._random.shuffle(blocks)
        return GeneratedBakeFile(text="\n".join(blocks), targets=tuple(self._built), changes=self._changes)

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    # --- blocks -------------------------------------------------------------------------------------------------------

    def _variable(self, number: int) -> str:
        name = f"{self._random.choice(['VAR', 'Tag', 'my_var'])}_{self._seed}_{number}"
        kind = self._random.choices(["text", "number", "flag", "list", "null"], [6, 2, 2, 1, 1])[0]
        match kind:
            case "number":
                self._names.numbers.append(name)
                self._changes[name] = str(self._random.randint(0, 99))
                return f'variable "{name}" {{\n  default = {self._random.randint(0, 20)}\n}}\n'
            case "flag":
                self._names.flags.append(name)
                self._changes[name] = self._random.choice(["true", "false"])
                return f'variable "{name}" {{ default = {self._random.choice(["true", "false"])} }}\n'
            case "list":
                self._names.lists.append(name)
                self._changes[name] = self._random.choice(["one", "one,two"])
                default = json.dumps(self._some_words())
                return f'variable "{name}" {{\n  type    = list(string)\n  default = {default}\n}}\n'
            case "null":
                self._names.nullable.append(name)
                self._changes[name] = self._random.choice(_WORDS)
                return f'variable "{name}" {{\n  default = null\n}}\n'
            case _:
                default = "" if self._chance(0.1) else f"  default = {quoted(self._random.choice(_TEXTS))}\n"
                if self._names.texts and self._chance(0.2):
                    default = f'  default = "${{{self._random.choice(self._names.texts)}}}/x"\n'
                self._names.texts.append(name)
                self._changes[name] = self._random.choice(_TEXTS)
                comment = "# What it is for.\n" if self._chance(0.2) else ""
                return f'{comment}variable "{name}" {{\n{default}}}\n'

    def _function(self, number: int) -> str:
        name = f"f_{self._seed}_{number}"
        params = ["value", "other"][: self._random.randint(1, 2)]
        outer, self._names = self._names, self._names.with_texts(*params)
        body = self._text(2)
        self._names = outer
        self._functions.append((name, len(params)))
        return f'function "{name}" {{\n  params = [{", ".join(params)}]\n  result = {body}\n}}\n'

    def _parent(self, number: int) -> str:
        name = f"_base-{self._seed}-{number}"
        attributes = [*self._inherits(), *self._attributes()]
        self._parents.append(name)
        return _target_block(name, attributes)

    def _target(self, number: int) -> str:
        name = f"t-{self._seed}-{number}"
        attributes: list[str] = []
        rows, outer = [""], self._names
        if self._chance(0.35):
            attributes, rows = self._matrix(name)
        attributes += [*self._inherits(), *self._attributes(), f'context = "dir/{number}"']
        if self._built and self._chance(0.3):
            attributes.append(f'contexts = {{ base = "target:{self._random.choice(self._built)}" }}')
        self._names = outer
        self._built += [f"{name}{row}" for row in rows]
        return _target_block(name, attributes)

    def _matrix(self, name: str) -> tuple[list[str], list[str]]:
        words = self._some_words()
        rows = [f"-{word.replace('.', '-')}" for word in words]
        if self._chance(0.5):
            self._names = self._names.with_texts("axis")
            lines = [f"matrix = {{ axis = {json.dumps(words)} }}", f'name = "{name}-${{replace(axis, ".", "-")}}"']
        else:
            tables = [f"{{ key = {json.dumps(word)}, text = {self._plain()} }}" for word in words]
            self._names = self._names.with_texts("row.key", "row.text")
            lines = [f"matrix = {{ row = [{', '.join(tables)}] }}", f'name = "{name}-${{replace(row.key, ".", "-")}}"']
        return lines, rows

    def _inherits(self) -> Iterator[str]:
        if self._parents and self._chance(0.6):
            parents = self._random.sample(self._parents, self._random.randint(1, len(self._parents)))
            if len(self._parents) > 1 and self._chance(0.3):
                first, second = self._parents[:2]
                yield f"inherits = [{self._flag(1)} ? {json.dumps(first)} : {json.dumps(second)}]"
            else:
                yield f"inherits = {json.dumps(parents)}"

    def _attributes(self) -> Iterator[str]:
        if self._chance(0.8):
            yield self._table("args")
        if self._chance(0.4):
            yield self._table("labels")
        if self._chance(0.3):
            yield f"platforms = {self._choice([_ONE_PLATFORM, _TWO_PLATFORMS])}"
        if self._chance(0.3):
            word = self._random.choice(_WORDS)
            yield f'tags = ["r.example.com/{word}:{self._random.randint(1, 9)}", {self._flag(1)} ? "{word}:x" : ""]'
        if self._chance(0.2):
            yield f"no-cache = {self._flag(1)}"
        if self._chance(0.15):
            yield f"dockerfile-inline = <<EOT\nFROM scratch\nENV A=${{{self._text(1)}}}\n# end\nEOT"

    def _choice(self, values: list[str]) -> str:
        if self._chance(0.5):
            return self._random.choice(values)
        return f"{self._flag(1)} ? {values[0]} : {values[1]}"

    def _table(self, name: str) -> str:
        keys = self._random.sample(["A", "B", "with-dash", "C_1"], self._random.randint(1, 3))
        if name == "labels":
            keys = [f"org.example.{key}" for key in keys]
        lines = [f"    {json.dumps(key)} = {self._entry()}" for key in keys]
        return "\n".join([f"{name} = {{", *lines, "  }"])

    def _entry(self) -> str:
        forms: list[Form] = [
            lambda: self._text(3),
            lambda: self._text(2),
            lambda: self._number(2),
            lambda: self._flag(2),
            lambda: f"{self._flag(1)} ? {self._text(1)} : null",
        ]
        if self._names.nullable:
            forms.append(lambda: self._random.choice(self._names.nullable))
        return self._random.choice(forms)()

    # --- expressions --------------------------------------------------------------------------------------------------

    def _some_words(self) -> list[str]:
        return self._random.sample(_WORDS, self._random.randint(1, 3))

    def _plain(self) -> str:
        return quoted(self._random.choice(_TEXTS))

    def _text(self, depth: int) -> str:
        """Return an expression for a text, with at most `depth` levels of calls."""
        names = self._names.texts
        if depth <= 0 or self._chance(0.15):
            return self._random.choice(names) if names and self._chance(0.7) else self._plain()
        forms: list[tuple[int, Form]] = [
            (5, lambda: self._template(depth)),
            (4, lambda: f"{self._flag(depth - 1)} ? {self._text(depth - 1)} : {self._text(depth - 1)}"),
            (1, lambda: f"({self._text(depth)})"),
            (4, lambda: self._call(depth)),
            (2, lambda: f"join({self._plain()}, {self._list(depth - 1)})"),
            (1, lambda: f'"${{{self._number(depth - 1)}}}"'),
            (1, lambda: f'"is ${{{self._flag(depth - 1)}}}"'),
            (1, lambda: f'split("{self._random.choice("./,-")}", {self._text(depth - 1)})[0]'),
            (1, lambda: f"try({self._list(depth - 1)}[{self._random.randint(0, 2)}], {self._text(depth - 1)})"),
            (1, lambda: f'lookup({{ a = "x", "1.2.3" = "y" }}, {self._text(depth - 1)}, {self._text(depth - 1)})'),
            (1, lambda: f"jsonencode({self._list(depth - 1)})"),
        ]
        if self._functions:
            forms.append((4, lambda: self._own_call(depth)))
        if self._names.nullable:
            forms.append((2, lambda: self._coalesce(depth)))
        weights = [weight for weight, _ in forms]
        return self._random.choices([form for _, form in forms], weights)[0]()

    def _template(self, depth: int) -> str:
        parts = [
            f"${{{self._text(depth - 1)}}}" if self._chance(0.6) else self._plain()[1:-1]
            for _ in range(self._random.randint(1, 3))
        ]
        if self._chance(0.1):
            parts.append(f"%{{ if {self._flag(depth - 1)} }}yes%{{ else }}${{{self._text(depth - 1)}}}%{{ endif }}")
        return f'"x{"".join(parts)}"' if self._chance(0.7) else f'"{"".join(parts)}"'

    def _call(self, depth: int) -> str:
        text = self._text(depth - 1)
        return self._random.choice(
            [
                f"upper({text})",
                f"lower({text})",
                f"title({text})",
                f"trimspace({text})",
                f"reverse({text})",
                f'trimprefix({text}, "v")',
                f'trimsuffix({text}, "s")',
                f'trim({text}, " x")',
                f"replace({text}, {quoted(self._random.choice('./- a'))}, {self._plain()})",
                f'regex_replace({text}, "{self._random.choice(_PATTERNS)}", "_")',
                f"substr({text}, 0, {self._random.randint(0, 4)})",
                f'format("%s+%s", {text}, {self._text(depth - 1)})',
                f'format("%03d", {self._number(depth - 1)})',
                f"sha256({text})",
                f"md5({text})",
                f"base64encode({text})",
                f"urlencode({text})",
                f"chomp({text})",
                f"indent(2, {text})",
            ]
        )

    def _own_call(self, depth: int) -> str:
        name, number = self._random.choice(self._functions)
        return f"{name}({', '.join(self._text(depth - 1) for _ in range(number))})"

    def _coalesce(self, depth: int) -> str:
        name = self._random.choice(self._names.nullable)
        fallback = self._text(depth - 1)
        return self._random.choice([f"{name} != null ? {name} : {fallback}", f"coalesce({name}, {fallback})"])

    def _number(self, depth: int) -> str:
        names = self._names.numbers
        if depth <= 0 or self._chance(0.3):
            return self._random.choice(names) if names and self._chance(0.6) else str(self._random.randint(0, 12))
        return self._random.choice(
            [
                f"{self._number(depth - 1)} {self._random.choice('+-')} {self._number(depth - 1)}",
                f"{self._random.randint(0, 12)} * {self._random.choice([*names, '3'])}",
                f"({self._number(depth - 1)} + 1) % {self._random.randint(1, 5)}",
                f"length({self._list(depth - 1)})",
                f"strlen({self._text(depth - 1)})",
                f"max({self._number(depth - 1)}, 3)",
                f"-{self._random.randint(1, 12)}",
                f"({self._flag(depth - 1)} ? {self._number(depth - 1)} : {self._number(depth - 1)})",
            ]
        )

    def _flag(self, depth: int) -> str:
        names = self._names.flags
        if depth <= 0 or self._chance(0.15):
            return self._random.choice(names) if names and self._chance(0.7) else self._random.choice(["true", "false"])
        equality, order = self._random.choice(["==", "!="]), self._random.choice(["<", "<=", ">", ">="])
        forms = [
            f"{self._text(depth - 1)} {equality} {self._plain()}",
            f"({self._text(depth - 1)}) {equality} {self._text(depth - 1)}",
            f"{self._number(depth - 1)} {order} {self._number(depth - 1)}",
            f"{self._flag(depth - 1)} && {self._flag(depth - 1)}",
            f"({self._flag(depth - 1)} || {self._flag(depth - 1)})",
            f"!({self._flag(depth - 1)})",
            f"contains({self._list(depth - 1)}, {self._text(depth - 1)})",
            f'can(regex("{self._random.choice(_PATTERNS)}", {self._text(depth - 1)}))',
            f"and({self._flag(depth - 1)}, {self._flag(depth - 1)})",
            f"equal({self._text(depth - 1)}, {self._plain()})",
            f"notequal({self._plain()}, {self._text(depth - 1)})",
        ]
        forms += [f"{name} {equality} null" for name in self._names.nullable]
        return f"({self._random.choice(forms)})"

    def _list(self, depth: int) -> str:
        names = self._names.lists
        if depth <= 0 or self._chance(0.2):
            if names and self._chance(0.6):
                return self._random.choice(names)
            return f"[{', '.join(self._text(0) for _ in range(self._random.randint(1, 3)))}]"
        return self._random.choice([self._for, self._call_of_lists])(depth)

    def _call_of_lists(self, depth: int) -> str:
        return self._random.choice(
            [
                f'split(",", {self._text(depth - 1)})',
                f"concat({self._list(depth - 1)}, {self._list(depth - 1)})",
                f"compact({self._list(depth - 1)})",
                f"distinct({self._list(depth - 1)})",
                f"sort({self._list(depth - 1)})",
                f"reverselist({self._list(depth - 1)})",
                f"flatten([{self._list(depth - 1)}, [{self._text(depth - 1)}]])",
                f'formatlist("%s-x", {self._list(depth - 1)})',
                f'regexall("{self._random.choice(_PATTERNS[:3])}", {self._text(depth - 1)})',
                'keys({ b = "1", a = "2" })',
            ]
        )

    def _for(self, depth: int) -> str:
        self._loops += 1
        item = f"item{self._loops}"
        collection = self._list(depth - 1)
        outer, self._names = self._names, self._names.with_texts(item)
        condition = f" if {self._flag(depth - 1)}" if self._chance(0.4) else ""
        loop = f"[for {item} in {collection} : {self._text(depth - 1)}{condition}]"
        self._names = outer
        return loop
