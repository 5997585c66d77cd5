"""Make a bake target from a Compose service with `build`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.base.text import did_you_mean, one_line
from mpbake.conversion.compose.entries import Entries
from mpbake.conversion.compose.service import Service, target_name
from mpbake.conversion.compose.texts import Texts, kind
from mpbake.conversion.compose.values import List, Mapping, Scalar, Value
from mpbake.conversion.compose.yaml.scalars import is_null, printed, resolved
from mpbake.conversion.compose.yaml.sizes import parse_size, printed_size
from mpbake.conversion.syntax import (
    Binary,
    Call,
    Comments,
    Conditional,
    Expression,
    Ignored,
    Item,
    ListOf,
    Literal,
    Pair,
    Target,
)

if TYPE_CHECKING:
    from mpbake.conversion.syntax import Place

_OF_SERVICE = ("service:", "target:")


class TargetMaker:
    """Makes the target of one service. Entries keep the order of the file."""

    def __init__(self, service: Service, secrets: Mapping | None, texts: Texts) -> None:
        """`secrets` is the table of the secrets of the file."""
        self._service = service
        self._secrets = secrets
        self.texts = texts
        self.entries = Entries(texts.comments)
        self.ignored: list[Ignored] = []
        self.used_environment = False

    def make(self, build: Mapping) -> Target:
        """Return the target, given its `build` in the long form."""
        name = self._service.name
        for key, value in build.pairs:
            if handler := _BUILD.get(key.text):
                handler(self, key, value)
            elif key.text in _IGNORED:
                self.ignored.append(Ignored(what=f"`{key.text}` in the build of the service `{name}`", place=key.place))
            elif not key.text.startswith("x-"):
                hint = did_you_mean(key.text, [*_BUILD, *_IGNORED])
                self.texts.problems.add(key.place, f"`build` has no key `{one_line(key.text)}`", hint)
        self._check(build)
        x_bake = build.get("x-bake")
        if x_bake is not None and not (isinstance(x_bake, Scalar) and is_null(x_bake)):
            self._extend(x_bake)
        self._tag()
        return Target(
            name=target_name(name),
            entries=self.entries.all(),
            place=self._service.key.place,
            comments=self._comments(),
        )

    def _comments(self) -> Comments:
        own = self.texts.comments.of(self._service.key)
        build = self._service.table.key("build")
        before = self.texts.comments.above(build.place) if build else ()
        return replace(own, before=(*own.before, *before))

    def _check(self, build: Mapping) -> None:
        inline = build.key("dockerfile_inline")
        if inline is not None and build.get("dockerfile") is not None:
            message = "`build` has both `dockerfile` and `dockerfile_inline`"
            self.texts.problems.add(inline.place, message, "remove one of them")

    def _extend(self, x_bake: Value) -> None:
        if not isinstance(x_bake, Mapping):
            self.texts.problems.add(x_bake.place, f"`x-bake` must be a table, not {kind(x_bake)}")
            return
        for key, value in x_bake.pairs:
            if isinstance(value, Scalar) and is_null(value):
                continue
            if handler := _X_BAKE.get(key.text):
                handler(self, key, value)
            else:
                what = f"`{key.text}` in `x-bake` of the service `{self._service.name}`"
                self.ignored.append(Ignored(what=what, place=key.place))

    def _tag(self) -> None:
        """Take `image` as the tag if there are no others."""
        image, key = self._service.table.get("image"), self._service.table.key("image")
        if image is None or key is None or (isinstance(image, Scalar) and is_null(image)):
            return
        tags = self.entries.get("tags")
        words = (
            tags.value if tags is not None and isinstance(tags.value, Call) and tags.value.function == "split" else None
        )
        if tags is not None and words is None:
            what = f"`image` of the service `{self._service.name}`, since the target has other tags"
            self.ignored.append(Ignored(what=what, place=key.place))
            return
        tag = self.texts.text(image, "`image`")
        if tag == Literal(value=""):
            return
        result: Expression = ListOf(items=(Item(value=tag),), place=image.place)
        if words is not None:
            filled = Binary(operator="!=", left=words.arguments[-1], right=Literal(value=""), place=image.place)
            result = Conditional(condition=filled, then=words, otherwise=result, place=image.place, text=words.text)
        self.entries.put("tags", key, image, result)

    # --- keys of `build` ---

    def context(self, key: Scalar, value: Value) -> None:
        """`context`: a folder or an address."""
        if isinstance(value, Scalar) and not is_null(value):
            self.entries.put("context", key, value, self.texts.path(value, "`context`"))
        else:
            self.texts.problems.add(value.place, f"`context` must be text, not {kind(value)}")

    def contexts(self, key: Scalar, value: Value) -> None:
        """`additional_contexts`, and `contexts` of x-bake."""
        self.entries.add_pairs("contexts", key, value, self._named_contexts(key, value))

    def _named_contexts(self, key: Scalar, value: Value) -> Iterable[Pair]:
        for name, entry in self.texts.pairs(value, f"`{key.text}`"):
            if not isinstance(entry, Scalar):
                self.texts.problems.add(name.place, f"the context `{one_line(name.text)}` must be text")
            elif entry.text.startswith(_OF_SERVICE):
                service = target_name(entry.text.partition(":")[2])
                yield self.entries.pair(name, self.texts.plain(replace(entry, text=f"target:{service}")), entry)
            else:
                yield self.entries.pair(name, self.texts.path(entry, "a context"), entry)

    def args(self, key: Scalar, value: Value) -> None:
        """`args`: an entry without a value comes from the environment of the service, or of bake."""
        self.entries.add_pairs("args", key, value, self._arguments(value))

    def _arguments(self, value: Value) -> Iterable[Pair]:
        for name, entry in self.texts.pairs(value, "`args`"):
            if entry is None:
                yield self.entries.pair(name, self._from_environment(name))
            elif isinstance(entry, Scalar):
                yield self.entries.pair(name, self.texts.plain(entry), entry)
            else:
                self._not_text(name, entry, "argument")

    def _from_environment(self, name: Scalar) -> Expression:
        value = self._service.environment.get(name.text)
        if isinstance(value, Scalar):
            self.used_environment = True
            return self.texts.plain(value)
        self.texts.variables.add_optional(name.text, name.place)
        return self.texts.variables.optional(name.text, name.place)

    def _not_text(self, name: Scalar, value: Value, what: str) -> None:
        message = f"the {what} `{one_line(name.text)}` must be text, not {kind(value)}"
        self.texts.problems.add(value.place, message)

    def labels(self, key: Scalar, value: Value) -> None:
        """`labels`: a label without a value is empty."""
        pairs = []
        for name, entry in self.texts.pairs(value, "`labels`"):
            if entry is None:
                pairs.append(self.entries.pair(name, Literal(value="", place=name.place)))
            elif isinstance(entry, Scalar):
                pairs.append(self.entries.pair(name, self.texts.plain(entry), entry))
            else:
                self._not_text(name, entry, "label")
        self.entries.add_pairs("labels", key, value, pairs)

    def hosts(self, key: Scalar, value: Value) -> None:
        """`extra_hosts`: addresses by host."""
        addresses: dict[str, tuple[Scalar, list[Expression]]] = {}
        for name, entry in self.texts.pairs(value, "`extra_hosts`", "=:"):
            written = entry.items if isinstance(entry, List) else () if entry is None else (entry,)
            if not written:
                message = f"the host `{one_line(name.text)}` has no address"
                self.texts.problems.add(name.place, message, "write `HOST=ADDRESS`")
            for address in written:
                if isinstance(address, Scalar) and re.fullmatch(r"\[.+\]", address.text):
                    address = replace(address, text=address.text[1:-1])  # noqa: PLW2901
                addresses.setdefault(name.text, (name, []))[1].append(self.texts.text(address, "an address"))
        pairs = [self.entries.pair(name, self._commas(name.place, texts)) for name, texts in addresses.values()]
        self.entries.add_pairs("extra-hosts", key, value, pairs)

    def _commas(self, place: Place, texts: list[Expression]) -> Expression:
        separated: list[str | Expression] = []
        for text in texts:
            separated += [",", text]
        return self.texts.joined(place, *separated[1:])

    def secrets(self, key: Scalar, value: Value) -> None:
        """`secrets`: names of secrets that the file declares."""
        if not isinstance(value, List):
            self.texts.problems.add(value.place, f"`secrets` must be a list, not {kind(value)}")
            return
        items = []
        for written in value.items:
            source = written.get("source") if isinstance(written, Mapping) else written
            if not isinstance(source, Scalar):
                self.texts.problems.add(written.place, "a secret needs a name", "write `source: NAME`")
            elif secret := self._secret(source):
                items.append(Item(value=secret, comments=self.texts.comments.of(source, source)))
        self.entries.append("secret", key, value, items)

    def _secret(self, source: Scalar) -> Expression | None:
        declared = self._secrets.get(source.text) if self._secrets else None
        if not isinstance(declared, Mapping):
            names = [key.text for key, _ in self._secrets.pairs] if self._secrets else []
            hint = did_you_mean(source.text, names) or "declare it in the `secrets` of the file"
            self.texts.problems.add(source.place, f"there is no secret `{one_line(source.text)}`", hint)
            return None
        external = declared.get("external")
        if external is not None and not (isinstance(external, Scalar) and resolved(external) is False):
            message = f"bake cannot read the external secret `{one_line(source.text)}`"
            self.texts.problems.add(source.place, message, "give the secret a `file` or an `environment`")
            return None
        parts: list[str | Expression] = ["id=", self.texts.plain(source)]
        file, variable = declared.get("file"), declared.get("environment")
        if isinstance(file, Scalar):
            parts += [",src=", self.texts.path(file, "`file`")]
        if isinstance(variable, Scalar):
            parts += [",env=", self.texts.text(variable, "`environment`")]
        return self.texts.joined(source.place, *parts)

    def ssh(self, key: Scalar, value: Value) -> None:
        """`ssh`: `default`, or `ID=PATH`."""
        items = []
        for name, entry in self.texts.pairs(value, "`ssh`"):
            if isinstance(entry, Scalar):
                joined = self.texts.joined(name.place, f"{name.text}=", self.texts.path(entry, "`ssh`"))
                items.append(Item(value=joined, comments=self.texts.comments.of(name, entry)))
            elif name.text == "default" or isinstance(value, Mapping):
                items.append(self.texts.item(replace(name, plain=False)))
            else:
                message = f"the ssh key `{one_line(name.text)}` has no path"
                self.texts.problems.add(name.place, message, "write `ID=PATH` or `default`")
        self.entries.append("ssh", key, value, items)

    def size(self, key: Scalar, value: Value) -> None:
        """`shm_size`: a number of bytes, or a text with a unit."""
        content = resolved(value) if isinstance(value, Scalar) else None
        if isinstance(value, Scalar) and isinstance(content, str) and "$" in content:
            self.entries.put("shm-size", key, value, self.texts.plain(value))
        elif isinstance(content, int | str) and (size := parse_size(str(content))) is not None:
            if size:
                self.entries.put("shm-size", key, value, Literal(value=printed_size(size), place=value.place))
        else:
            self.texts.problems.add(value.place, "`shm_size` must be a size", "write a size such as `128m`")

    def ulimits(self, key: Scalar, value: Value) -> None:
        """`ulimits`: limits by name, with `soft` and `hard`."""
        if not isinstance(value, Mapping):
            self.texts.problems.add(value.place, f"`ulimits` must be a table, not {kind(value)}")
            return
        items = []
        for name, limit in value.pairs:
            soft, hard = (limit.get("soft"), limit.get("hard")) if isinstance(limit, Mapping) else (None, None)
            if isinstance(limit, Scalar):
                what = f"the number of `ulimits.{name.text}` of the service `{self._service.name}` (bake passes 0:0)"
                self.ignored.append(Ignored(what=what, place=name.place))
                items.append(Item(value=Literal(value=f"{name.text}=0:0", place=name.place)))
            elif isinstance(soft, Scalar) and isinstance(hard, Scalar):
                numbers = (self.texts.plain(soft), ":", self.texts.plain(hard))
                joined = self.texts.joined(name.place, f"{name.text}=", *numbers)
                items.append(Item(value=joined, comments=self.texts.comments.of(name)))
            else:
                message = f"`ulimits.{one_line(name.text)}` needs `soft` and `hard`"
                self.texts.problems.add(name.place, message)
        self.entries.append("ulimits", key, value, items)

    def attest(self, key: Scalar, value: Value) -> None:
        """`provenance` and `sbom`: true, false or fields."""
        if not isinstance(value, Scalar):
            self.texts.problems.add(value.place, f"`{key.text}` must be text, true or false, not {kind(value)}")
            return
        text = printed(value)
        match text.lower():
            case "":
                return
            case "1" | "t" | "true":
                attest: Expression = Literal(value=f"type={key.text}", place=value.place)
            case "0" | "f" | "false":
                attest = Literal(value=f"type={key.text},disabled=true", place=value.place)
            case _:
                attest = self.texts.joined(value.place, f"type={key.text},", self.texts.plain(value))
        self.entries.append("attest", key, value, [Item(value=attest, comments=self.texts.comments.of(key, value))])


_Handler = Callable[[TargetMaker, Scalar, Value], None]


def _text(name: str) -> _Handler:
    """Return the handler of a key with a text. An empty text counts as not written."""

    def handle(maker: TargetMaker, key: Scalar, value: Value) -> None:
        text = maker.texts.text(value, f"`{key.text}`")
        if text != Literal(value=""):
            maker.entries.put(name, key, value, text)

    return handle


def _flag(name: str, *, omit_false: bool) -> _Handler:
    """Return the handler of a flag. With `omit_false`, false counts as not written."""

    def handle(maker: TargetMaker, key: Scalar, value: Value) -> None:
        flag = maker.texts.flag(value, f"`{key.text}`")
        if not (omit_false and flag == Literal(value=False)):
            maker.entries.put(name, key, value, flag)

    return handle


def _list(name: str) -> _Handler:
    """Return the handler of a list of texts."""

    def handle(maker: TargetMaker, key: Scalar, value: Value) -> None:
        items = [maker.texts.item(item) for item in maker.texts.items(value, f"`{key.text}`")]
        maker.entries.append(name, key, value, items)

    return handle


def _words(name: str) -> _Handler:
    """Return the handler of a list of texts, or of a text with words."""

    def handle(maker: TargetMaker, key: Scalar, value: Value) -> None:
        maker.entries.append(name, key, value, maker.texts.words(value, f"`{key.text}`"))

    return handle


_BUILD: dict[str, _Handler] = {
    "context": TargetMaker.context,
    "dockerfile": _text("dockerfile"),
    "dockerfile_inline": _text("dockerfile-inline"),
    "additional_contexts": TargetMaker.contexts,
    "args": TargetMaker.args,
    "labels": TargetMaker.labels,
    "tags": _list("tags"),
    "target": _text("target"),
    "platforms": _list("platforms"),
    "cache_from": _list("cache-from"),
    "cache_to": _list("cache-to"),
    "secrets": TargetMaker.secrets,
    "ssh": TargetMaker.ssh,
    "provenance": TargetMaker.attest,
    "sbom": TargetMaker.attest,
    "no_cache": _flag("no-cache", omit_false=True),
    "pull": _flag("pull", omit_false=True),
    "network": _text("network"),
    "shm_size": TargetMaker.size,
    "ulimits": TargetMaker.ulimits,
    "extra_hosts": TargetMaker.hosts,
}
"""The keys of `build` that bake reads."""

_IGNORED = ("entitlements", "isolation", "no_cache_filter", "privileged")
"""The keys of `build` that Compose knows, and bake does not read."""

_X_BAKE: dict[str, _Handler] = {
    "tags": _words("tags"),
    "cache-from": _words("cache-from"),
    "cache-to": _words("cache-to"),
    "secret": _words("secret"),
    "ssh": _words("ssh"),
    "platforms": _words("platforms"),
    "output": _words("output"),
    "pull": _flag("pull", omit_false=False),
    "no-cache": _flag("no-cache", omit_false=False),
    "no-cache-filter": _words("no-cache-filter"),
    "contexts": TargetMaker.contexts,
}
"""The keys of `x-bake` that bake reads."""
