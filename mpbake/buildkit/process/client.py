"""python-on-whales, extended by missing flags and commands.

Only this module imports python-on-whales. The classes here follow the style of the classes that they extend.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from python_on_whales import DockerClient
from python_on_whales.client_config import ClientNotFoundError, Command, ParsingError
from python_on_whales.components.buildx.cli_wrapper import BuildxCLI
from python_on_whales.components.image.cli_wrapper import ImageCLI
from python_on_whales.exceptions import DockerException
from python_on_whales.utils import run

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "UNREADABLE",
    "UNREADABLE_TEXT",
    "ClientNotFoundError",
    "DockerCommands",
    "DockerException",
    "discard_answer",
]

# With this variable, python-on-whales would print every command and the whole environment, including secrets.
os.environ.pop("PYTHON_ON_WHALES_DEBUG", None)

UNREADABLE = (ParsingError, ValueError, LookupError, TypeError)
"""The errors that python-on-whales raises if it cannot read the answer of docker."""
UNREADABLE_TEXT = "the answer of docker cannot be read"
_ANSWER_FILE = re.compile(r"json response was put \nin (\S+\.json) because")
"""A pattern for the message of a ParsingError."""


class Buildx(BuildxCLI):
    """`docker buildx` with grants, nodes and removal options."""

    def bake(self, targets: Any = (), *arguments: Any, allow: Iterable[str] = (), **options: Any) -> Any:
        """Build targets, as in python-on-whales. `allow` holds the grants, which require buildx 0.17."""
        grants = Command()
        grants.add_args_iterable("--allow", allow)
        return super().bake([*grants, *targets], *arguments, **options)

    def create_node(self, name: str, node: str, driver: str, *flags: str, endpoint: str = "") -> str:
        """Create the builder `name` with one node, and return the builder's name.

        In python-on-whales, `create` has no `node`, does not support commas in driver options, and afterwards calls
        `buildx ls`, which waits for every node of every builder.
        """
        full_cmd = Command([*self.docker_cmd, "buildx", "create"])
        full_cmd.add_simple_arg("--name", name)
        full_cmd.add_simple_arg("--node", node)
        full_cmd.add_simple_arg("--driver", driver)
        full_cmd += flags
        if endpoint:
            full_cmd.append(endpoint)
        return run(full_cmd, return_stderr=False)

    def describe(self, name: str, *, bootstrap: bool = False, timeout: str = "") -> str:
        """Return the output of `buildx inspect` for a builder.

        In python-on-whales, `inspect` uses only the name in that output. `inspect` calls `buildx ls`, which waits for
        every node of every builder, and drops driver options and files.
        """
        full_cmd = Command([*self.docker_cmd, "buildx", "inspect", name])
        full_cmd.add_flag("--bootstrap", bootstrap)
        full_cmd.add_simple_arg("--timeout", timeout or None)
        return run(full_cmd, return_stderr=False)


class Images(ImageCLI):
    """`docker image` with a push that runs no other command."""

    def push_quietly(self, tag: str) -> None:
        """Push one tag. `push` of python-on-whales would first inspect the image, with one more process."""
        run([*self.docker_cmd, "image", "push", "--quiet", tag])


class DockerCommands(DockerClient):
    """The client of python-on-whales with the extended commands."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.buildx: Buildx = Buildx(self.client_config)
        self.image: Images = Images(self.client_config)


def discard_answer(error: Exception) -> None:
    """Remove the file with an answer that python-on-whales could not parse, since the answer may contain secrets."""
    if match := _ANSWER_FILE.search(str(error)):
        Path(match[1]).unlink(missing_ok=True)
