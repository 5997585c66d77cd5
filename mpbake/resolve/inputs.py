"""What a plan is resolved with besides its file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mpbake.resolve.template.filters import no_git

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mpbake.base.platforms import Platform
    from mpbake.model.node_state import StoredBuilder
    from mpbake.resolve.targets.overrides import SetOverride
    from mpbake.resolve.template.filters import AskGit


@dataclass(frozen=True, kw_only=True, slots=True)
class Overrides:
    """What the command line changes in every target. An empty value, or None, changes nothing."""

    push: bool | None = None
    load: bool = False
    no_cache: bool = False
    pull: bool = False
    builder: str = ""
    publish: str = ""
    platforms: tuple[Platform, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What comes from outside the file.

    `variables` are those of `--var` as text, `values` those of `--var-file` as TOML gives them, and `files`
    says which file gives each. `git` is asked only for what the plan uses. `stored` tells what buildx keeps of a
    builder, None when it keeps nothing.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    stored: Callable[[str], StoredBuilder | None] = lambda _: None
    overrides: Overrides = field(default_factory=Overrides)
    settings: tuple[SetOverride, ...] = ()
    git: AskGit = no_git
