"""Read a Compose file: its services with `build` become targets, as in bake."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mpbake.base.text import one_line
from mpbake.conversion.compose.interpolation import BadReferenceError, parse, references
from mpbake.conversion.compose.merging import as_table, long_build
from mpbake.conversion.compose.service import Service
from mpbake.conversion.compose.targets import TargetMaker
from mpbake.conversion.compose.texts import BAD_REFERENCE, Texts, kind
from mpbake.conversion.compose.values import List, Mapping, Problems, Scalar, scalars
from mpbake.conversion.compose.variables import Variables
from mpbake.conversion.compose.yaml.comments import CommentLines
from mpbake.conversion.compose.yaml.dotenv import read_dotenv
from mpbake.conversion.compose.yaml.loading import Loader
from mpbake.conversion.compose.yaml.scalars import is_null, resolved
from mpbake.conversion.syntax import BakeFile, Format, Group, Ignored, Item, ListOf, Literal, Place, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpbake.conversion.compose.values import Value
    from mpbake.conversion.compose.yaml.loading import Files

_SERVICE_NAME = re.compile(r"[a-zA-Z0-9._-]+")
_READ = frozenset({"build", "image", "extends", "profiles"})
"""The keys of a service that bake reads, and `profiles`: bake builds the services of all profiles."""

_VARIABLES = frozenset({"environment", "env_file"})
"""The keys of a service with values for arguments without a value."""


def _no_files(_: str) -> str | None:
    return None


def read_compose(text: str, path: str, dotenv: str = "", files: Files = _no_files) -> BakeFile:
    """Return the targets of one Compose file, as `read_compose_files` does."""
    return read_compose_files([(path, text)], dotenv, files)


def read_compose_files(texts: Sequence[tuple[str, str]], dotenv: str = "", files: Files = _no_files) -> BakeFile:
    """Return the targets of Compose files, given their paths and texts: bake merges them before it reads their targets.

    `dotenv` is the text of the file `.env` in the folder where bake runs. `files` reads the files that a Compose file
    includes or extends, and its `env_file`. Raises PlanError with all problems of the files.
    """
    return _Reader(texts, read_dotenv(dotenv), files).read()


class _Reader:
    """Reads Compose files that belong together."""

    def __init__(self, texts: Sequence[tuple[str, str]], dotenv: dict[str, str], files: Files) -> None:
        self._texts = texts
        self._path = texts[0][0]
        self._files = files
        self._dotenv = dotenv
        self._comments = CommentLines()
        self._problems = Problems()
        self._variables = Variables(dotenv)
        self._ignored: list[Ignored] = []

    def read(self) -> BakeFile:
        table = Loader(self._files, self._comments, self._problems).load_all(self._texts)
        self._problems.check()
        services = self._services(table)
        self._problems.check()
        secrets = table.get("secrets")
        # The first pass learns how the file uses its variables. The expressions of the second pass depend on that.
        self._targets(services, secrets)
        self._ignored = []
        targets = self._targets(services, secrets)
        required = self._required(table)
        self._problems.check()
        if services and not targets:
            message = "no service has `build`, so bake has nothing to build"
            self._problems.add(services[0].key.place, message, "name a file with `build`")
        self._problems.check()
        return BakeFile(
            path=self._path,
            format=Format.COMPOSE,
            blocks=(*self._variables.declared(), self._group(table, targets), *targets),
            heading=self._comments.heading(self._path),
            ignored=tuple(self._ignored),
            required=required,
            mentioned=self._mentioned(table),
        )

    def _services(self, table: Mapping) -> list[Service]:
        start = Place(file=self._path, line=1, column=1)
        if not table.pairs:
            self._problems.add(start, "the file is empty", "name a file with `services`")
            return []
        services = table.get("services")
        if services is None or (isinstance(services, Scalar) and is_null(services)):
            message = "is not a Compose file: it has no `services`"
            self._problems.add(start, message, "name a Compose file, or a bake file in HCL or JSON")
            return []
        if not isinstance(services, Mapping):
            self._problems.add(services.place, f"`services` must be a table, not {kind(services)}")
            return []
        return [service for key, value in services.pairs if (service := self._service(key, value))]

    def _service(self, key: Scalar, value: Value) -> Service | None:
        if not _SERVICE_NAME.fullmatch(key.text):
            message = f"`{one_line(key.text)}` is no name of a service"
            self._problems.add(key.place, message, "use letters, digits, `.`, `_` and `-`")
        if not isinstance(value, Mapping):
            self._problems.add(key.place, f"the service `{one_line(key.text)}` must be a table, not {kind(value)}")
            return None
        return Service(key=key, table=value, environment=self._environment(value))

    def _environment(self, service: Mapping) -> dict[str, Value | None]:
        """Return the variables of a service's containers, which also are values for arguments without a value."""
        variables: dict[str, Value | None] = {}
        for path in _env_files(service.get("env_file")):
            content = self._files(path.text) or ""
            for name, value in read_dotenv(content, self._dotenv).items():
                variables[name] = Scalar(text=value.replace("$", "$$"), place=path.place)
        environment = as_table(service.get("environment") or Mapping(pairs=(), place=service.place), "=")
        if isinstance(environment, Mapping):
            for key, entry in environment.pairs:
                variables[key.text] = None if isinstance(entry, Scalar) and is_null(entry) else entry
        return variables

    def _targets(self, services: list[Service], secrets: Value | None) -> tuple[Target, ...]:
        texts = Texts(self._variables, self._comments, self._problems)
        targets = []
        unread: dict[str, Scalar] = {}
        for service in services:
            build = service.table.get("build")
            if build is None or (isinstance(build, Scalar) and is_null(build)):
                self._without_build(service)
                continue
            long = long_build(build)
            if not isinstance(long, Mapping):
                self._problems.add(build.place, f"`build` must be text or a table, not {kind(build)}")
                continue
            maker = TargetMaker(service, secrets if isinstance(secrets, Mapping) else None, texts)
            targets.append(maker.make(long))
            self._ignored += maker.ignored
            for key, _ in service.table.pairs:
                if key.text not in _READ and not (key.text in _VARIABLES and maker.used_environment):
                    unread.setdefault(key.text, key)
        self._settings_of_containers(unread)
        return tuple(targets)

    def _without_build(self, service: Service) -> None:
        self._ignored.append(
            Ignored(what=f"the service `{service.name}`, which has no `build`", place=service.key.place)
        )
        image = service.table.get("image")
        if image is None or (isinstance(image, Scalar) and image.text == ""):
            message = f"the service `{service.name}` has neither `build` nor `image`"
            self._problems.add(service.key.place, message, "add one of them")

    def _settings_of_containers(self, unread: dict[str, Scalar]) -> None:
        if platform := unread.pop("platform", None):
            what = "`platform` of services: use `platforms` in `build`"
            self._ignored.append(Ignored(what=what, place=platform.place))
        if unread:
            names = ", ".join(f"`{one_line(name)}`" for name in unread)
            place = next(iter(unread.values())).place
            self._ignored.append(
                Ignored(what=f"settings of services that only concern containers: {names}", place=place)
            )

    def _group(self, table: Mapping, targets: tuple[Target, ...]) -> Group:
        key = table.key("services")
        place = key.place if key else Place(file=self._path)
        names = dict.fromkeys(target.name for target in targets)
        items = tuple(Item(value=Literal(value=name, place=place, text=name)) for name in names)
        return Group(name="default", targets=ListOf(items=items, place=place), place=place)

    def _required(self, table: Mapping) -> tuple[str, ...]:
        """Return the variables that bake requires although no target uses them.

        Add problems for references that bake refuses, also in parts from which it builds nothing.
        """
        required: dict[str, Place] = {}
        for scalar in scalars(table):
            try:
                parts = parse(scalar.text) if "$" in scalar.text else ()
            except BadReferenceError:
                self._problems.add(scalar.place, *BAD_REFERENCE)
                continue
            for part in parts:
                if isinstance(part, str) or "?" not in part.operator or self._variables.require(part):
                    continue
                required.setdefault(part.name, scalar.place)
        for name, place in required.items():
            what = f"the requirement that `{name}` is set, in a setting that only concerns containers"
            self._ignored.append(Ignored(what=what, place=place))
        return tuple(required)

    def _mentioned(self, table: Mapping) -> tuple[str, ...]:
        """Return all variables of the file that no target uses, and that bake inserts into settings of containers."""
        names = dict.fromkeys(
            reference.name
            for scalar in scalars(table)
            if "$" in scalar.text
            for reference in references(parse(scalar.text))
        )
        return tuple(name for name in names if not self._variables.knows(name))


def _env_files(value: Value | None) -> list[Scalar]:
    match value:
        case Scalar() if resolved(value) is not None:
            return [value]
        case List():
            return [path for item in value.items for path in _env_files(item)]
        case Mapping():
            return _env_files(value.get("path"))
        case _:
            return []
