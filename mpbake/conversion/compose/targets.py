"""Make a bake target from a Compose service with `build`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpbake.base.text import did_you_mean, one_line
from mpbake.conversion.compose.scalars import is_null, printed, resolved
from mpbake.conversion.compose.sizes import parse_size, printed_size
from mpbake.conversion.compose.texts import Texts, kind
from mpbake.conversion.compose.values import List, Mapping, Scalar, Value
from mpbake.conversion.syntax import (
    Binary,
    Call,
    Comments,
    Conditional,
    Entry,
    Expression,
    Ignored,
    Item,
    ListOf,
    Literal,
    ObjectOf,
    Pair,
    Target,
)

if TYPE_CHECKING:
    from mpbake.conversion.syntax import Place

_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]+")
_OF_SERVICE = ("service:", "target:")


def target_name(service: str) -> str:
    """Return the name of a service's target: bake replaces dots."""
    return service.replace(".", "_")


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A service with its name, and the variables of its `environment` and `env_file`."""

    key: Scalar
    table: Mapping
    environment: dict[str, Value | None]

    @property
    def name(self) -> str:
        """The name of the service."""
        return self.key.text


class TargetMaker:
    """Makes the target of one service. Entries keep the order of the file."""

    def __init__(self, service: Service, secrets: Mapping | None, texts: Texts) -> None:
        """`secrets` is the table of the secrets of the file."""
        self._service = service
        self._secrets = secrets
        self._texts = texts
        self._entries: dict[str, Entry] = {}
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
                self._texts.problems.add(key.place, f"`build` has no key `{one_line(key.text)}`", hint)
        self._check(build)
        x_bake = build.get("x-bake")
        if x_bake is not None and not (isinstance(x_bake, Scalar) and is_null(x_bake)):
            self._extend(x_bake)
        self._tag()
        return Target(
            name=target_name(name),
            entries=tuple(self._entries.values()),
            place=self._service.key.place,
            comments=self._comments(),
        )

    def _comments(self) -> Comments:
        own = self._texts.comments.of(self._service.key)
        build = self._service.table.key("build")
        before = self._texts.comments.above(build.place) if build else ()
        return replace(own, before=(*own.before, *before))

    def _check(self, build: Mapping) -> None:
        inline = build.key("dockerfile_inline")
        if inline is not None and build.get("dockerfile") is not None:
            message = "`build` has both `dockerfile` and `dockerfile_inline`"
            self._texts.problems.add(inline.place, message, "remove one of them")

    def _extend(self, x_bake: Value) -> None:
        if not isinstance(x_bake, Mapping):
            self._texts.problems.add(x_bake.place, f"`x-bake` must be a table, not {kind(x_bake)}")
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
        tags = self._entries.get("tags")
        if tags is not None and not isinstance(tags.value, Call):
            what = f"`image` of the service `{self._service.name}`, since the target has other tags"
            self.ignored.append(Ignored(what=what, place=key.place))
            return
        tag = self._texts.text(image, "`image`")
        if tag == Literal(value=""):
            return
        own = ListOf(items=(Item(value=tag),), place=image.place)
        if tags is None:
            self._put("tags", key, image, own)
        elif isinstance(tags.value, Call):
            filled = Binary(operator="!=", left=tags.value.arguments[-1], right=Literal(value=""), place=image.place)
            chosen = Conditional(
                condition=filled, then=tags.value, otherwise=own, place=image.place, text=tags.value.text
            )
            self._entries["tags"] = replace(tags, value=chosen)

    # --- values ---

    def _put(self, name: str, key: Scalar, value: Value, expression: Expression) -> None:
        comments = self._texts.comments.of(key, value)
        self._entries[name] = Entry(name=name, value=expression, place=key.place, comments=comments)

    def _append(self, name: str, key: Scalar, value: Value, items: Iterable[Item] | Expression) -> None:
        """Append to a list that may exist, without repeating its items."""
        old = self._entries.get(name)
        before = old.value.items if old is not None and isinstance(old.value, ListOf) else ()
        if not isinstance(items, Iterable):
            self._put(name, key, value, items)
            return
        known = {item.value for item in before}
        added = []
        for item in items:
            if item.value not in known:
                known.add(item.value)
                added.append(item)
        if not (before or added):
            return
        result = ListOf(items=(*before, *added), place=value.place)
        if old is None:
            self._put(name, key, value, result)
        else:
            self._entries[name] = replace(old, value=result)

    def _table(self, name: str, key: Scalar, value: Value, pairs: Iterable[Pair]) -> None:
        """Add to a table that may exist; its own entries stay."""
        old = self._entries.get(name)
        before = old.value.pairs if old is not None and isinstance(old.value, ObjectOf) else ()
        known = {pair.key for pair in before}
        result = ObjectOf(pairs=(*before, *(pair for pair in pairs if pair.key not in known)), place=value.place)
        if not result.pairs:
            return
        if old is None:
            self._put(name, key, value, result)
        else:
            self._entries[name] = replace(old, value=result)

    def _pair(self, key: Scalar, value: Expression, written: Value | None = None) -> Pair:
        name = Literal(value=key.text, place=key.place, text=key.text)
        return Pair(key=name, value=value, comments=self._texts.comments.of(key, written))

    # --- keys of `build` ---

    def context(self, key: Scalar, value: Value) -> None:
        """`context`: a folder or an address."""
        if isinstance(value, Scalar) and not is_null(value):
            self._put("context", key, value, self._texts.path(value, "`context`"))
        else:
            self._texts.problems.add(value.place, f"`context` must be text, not {kind(value)}")

    def contexts(self, key: Scalar, value: Value) -> None:
        """`additional_contexts`, and `contexts` of x-bake."""
        self._table("contexts", key, value, self._named_contexts(key, value))

    def _named_contexts(self, key: Scalar, value: Value) -> Iterable[Pair]:
        for name, entry in self._texts.pairs(value, f"`{key.text}`"):
            if not isinstance(entry, Scalar):
                self._texts.problems.add(name.place, f"the context `{one_line(name.text)}` must be text")
            elif entry.text.startswith(_OF_SERVICE):
                service = target_name(entry.text.partition(":")[2])
                yield self._pair(name, self._texts.plain(replace(entry, text=f"target:{service}")), entry)
            else:
                yield self._pair(name, self._texts.path(entry, "a context"), entry)

    def args(self, key: Scalar, value: Value) -> None:
        """`args`: an entry without a value comes from the environment of the service, or of bake."""
        self._table("args", key, value, self._arguments(value))

    def _arguments(self, value: Value) -> Iterable[Pair]:
        for name, entry in self._texts.pairs(value, "`args`"):
            if entry is None:
                yield self._pair(name, self._from_environment(name))
            elif isinstance(entry, Scalar):
                yield self._pair(name, self._texts.plain(entry), entry)
            else:
                self._not_text(name, entry, "argument")

    def _from_environment(self, name: Scalar) -> Expression:
        value = self._service.environment.get(name.text)
        if isinstance(value, Scalar):
            self.used_environment = True
            return self._texts.plain(value)
        self._texts.variables.add_optional(name.text, name.place)
        return self._texts.variables.optional(name.text, name.place)

    def _not_text(self, name: Scalar, value: Value, what: str) -> None:
        message = f"the {what} `{one_line(name.text)}` must be text, not {kind(value)}"
        self._texts.problems.add(value.place, message)

    def labels(self, key: Scalar, value: Value) -> None:
        """`labels`: a label without a value is empty."""
        pairs = []
        for name, entry in self._texts.pairs(value, "`labels`"):
            if entry is None:
                pairs.append(self._pair(name, Literal(value="", place=name.place)))
            elif isinstance(entry, Scalar):
                pairs.append(self._pair(name, self._texts.plain(entry), entry))
            else:
                self._not_text(name, entry, "label")
        self._table("labels", key, value, pairs)

    def hosts(self, key: Scalar, value: Value) -> None:
        """`extra_hosts`: addresses by host."""
        addresses: dict[str, tuple[Scalar, list[Expression]]] = {}
        for name, entry in self._texts.pairs(value, "`extra_hosts`", "=:"):
            written = entry.items if isinstance(entry, List) else () if entry is None else (entry,)
            if not written:
                message = f"the host `{one_line(name.text)}` has no address"
                self._texts.problems.add(name.place, message, "write `HOST=ADDRESS`")
            for address in written:
                if isinstance(address, Scalar) and re.fullmatch(r"\[.+\]", address.text):
                    address = replace(address, text=address.text[1:-1])  # noqa: PLW2901
                addresses.setdefault(name.text, (name, []))[1].append(self._texts.text(address, "an address"))
        pairs = [self._pair(name, self._commas(name.place, texts)) for name, texts in addresses.values()]
        self._table("extra-hosts", key, value, pairs)

    def _commas(self, place: Place, texts: list[Expression]) -> Expression:
        separated: list[str | Expression] = []
        for text in texts:
            separated += [",", text]
        return self._texts.joined(place, *separated[1:])

    def secrets(self, key: Scalar, value: Value) -> None:
        """`secrets`: names of secrets that the file declares."""
        if not isinstance(value, List):
            self._texts.problems.add(value.place, f"`secrets` must be a list, not {kind(value)}")
            return
        items = []
        for written in value.items:
            source = written.get("source") if isinstance(written, Mapping) else written
            if not isinstance(source, Scalar):
                self._texts.problems.add(written.place, "a secret needs a name", "write `source: NAME`")
            elif secret := self._secret(source):
                items.append(Item(value=secret, comments=self._texts.comments.of(source, source)))
        self._append("secret", key, value, items)

    def _secret(self, source: Scalar) -> Expression | None:
        declared = self._secrets.get(source.text) if self._secrets else None
        if not isinstance(declared, Mapping):
            names = [key.text for key, _ in self._secrets.pairs] if self._secrets else []
            hint = did_you_mean(source.text, names) or "declare it in the `secrets` of the file"
            self._texts.problems.add(source.place, f"there is no secret `{one_line(source.text)}`", hint)
            return None
        external = declared.get("external")
        if external is not None and not (isinstance(external, Scalar) and resolved(external) is False):
            message = f"bake cannot read the external secret `{one_line(source.text)}`"
            self._texts.problems.add(source.place, message, "give the secret a `file` or an `environment`")
            return None
        parts: list[str | Expression] = ["id=", self._texts.plain(source)]
        file, variable = declared.get("file"), declared.get("environment")
        if isinstance(file, Scalar):
            parts += [",src=", self._texts.path(file, "`file`")]
        if isinstance(variable, Scalar):
            parts += [",env=", self._texts.text(variable, "`environment`")]
        return self._texts.joined(source.place, *parts)

    def ssh(self, key: Scalar, value: Value) -> None:
        """`ssh`: `default`, or `ID=PATH`."""
        items = []
        for name, entry in self._texts.pairs(value, "`ssh`"):
            if isinstance(entry, Scalar):
                joined = self._texts.joined(name.place, f"{name.text}=", self._texts.path(entry, "`ssh`"))
                items.append(Item(value=joined, comments=self._texts.comments.of(name, entry)))
            elif name.text == "default" or isinstance(value, Mapping):
                items.append(self._texts.item(replace(name, plain=False)))
            else:
                message = f"the ssh key `{one_line(name.text)}` has no path"
                self._texts.problems.add(name.place, message, "write `ID=PATH` or `default`")
        self._append("ssh", key, value, items)

    def size(self, key: Scalar, value: Value) -> None:
        """`shm_size`: a number of bytes, or a text with a unit."""
        content = resolved(value) if isinstance(value, Scalar) else None
        if isinstance(value, Scalar) and isinstance(content, str) and "$" in content:
            self._put("shm-size", key, value, self._texts.plain(value))
        elif isinstance(content, int | str) and (size := parse_size(str(content))) is not None:
            if size:
                self._put("shm-size", key, value, Literal(value=printed_size(size), place=value.place))
        else:
            self._texts.problems.add(value.place, "`shm_size` must be a size", "write a size such as `128m`")

    def ulimits(self, key: Scalar, value: Value) -> None:
        """`ulimits`: limits by name, with `soft` and `hard`."""
        if not isinstance(value, Mapping):
            self._texts.problems.add(value.place, f"`ulimits` must be a table, not {kind(value)}")
            return
        items = []
        for name, limit in value.pairs:
            soft, hard = (limit.get("soft"), limit.get("hard")) if isinstance(limit, Mapping) else (None, None)
            if isinstance(limit, Scalar):
                what = f"the number of `ulimits.{name.text}` of the service `{self._service.name}` (bake passes 0:0)"
                self.ignored.append(Ignored(what=what, place=name.place))
                items.append(Item(value=Literal(value=f"{name.text}=0:0", place=name.place)))
            elif isinstance(soft, Scalar) and isinstance(hard, Scalar):
                numbers = (self._texts.plain(soft), ":", self._texts.plain(hard))
                joined = self._texts.joined(name.place, f"{name.text}=", *numbers)
                items.append(Item(value=joined, comments=self._texts.comments.of(name)))
            else:
                message = f"`ulimits.{one_line(name.text)}` needs `soft` and `hard`"
                self._texts.problems.add(name.place, message)
        self._append("ulimits", key, value, items)

    def attest(self, key: Scalar, value: Value) -> None:
        """`provenance` and `sbom`: true, false or fields."""
        if not isinstance(value, Scalar):
            self._texts.problems.add(value.place, f"`{key.text}` must be text, true or false, not {kind(value)}")
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
                attest = self._texts.joined(value.place, f"type={key.text},", self._texts.plain(value))
        self._append("attest", key, value, [Item(value=attest, comments=self._texts.comments.of(key, value))])


_Handler = Callable[[TargetMaker, Scalar, Value], None]


def _text(name: str) -> _Handler:
    """Return the handler of a key with a text. An empty text counts as not written."""

    def handle(maker: TargetMaker, key: Scalar, value: Value) -> None:
        text = maker._texts.text(value, f"`{key.text}`")  # noqa: SLF001
        if text != Literal(value=""):
            maker._put(name, key, value, text)  # noqa: SLF001

    return handle


def _flag(name: str, *, omit_false: bool) -> _Handler:
    """Return the handler of a flag. With `omit_false`, false counts as not written."""

    def handle(maker: TargetMaker, key: Scalar, value: Value) -> None:
        flag = maker._texts.flag(value, f"`{key.text}`")  # noqa: SLF001
        if not (omit_false and flag == Literal(value=False)):
            maker._put(name, key, value, flag)  # noqa: SLF001

    return handle


def _list(name: str) -> _Handler:
    """Return the handler of a list of texts."""

    def handle(maker: TargetMaker, key: Scalar, value: Value) -> None:
        items = [maker._texts.item(item) for item in maker._texts.items(value, f"`{key.text}`")]  # noqa: SLF001
        maker._append(name, key, value, items)  # noqa: SLF001

    return handle


def _words(name: str) -> _Handler:
    """Return the handler of a list of texts, or of a text with words."""

    def handle(maker: TargetMaker, key: Scalar, value: Value) -> None:
        maker._append(name, key, value, maker._texts.words(value, f"`{key.text}`"))  # noqa: SLF001

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
