"""The inputs of plan resolution other than the plan file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mpbake.resolve.template.budget import PlanLimits
from mpbake.resolve.template.filters import no_git

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mpbake.base.platforms import Platform
    from mpbake.model.node_state import StoredBuilder
    from mpbake.resolve.targets.overrides import SetOverride
    from mpbake.resolve.template.filters import AskGit


@dataclass(frozen=True, kw_only=True, slots=True)
class Overrides:
    """Command-line options that change every target. An empty value or None changes nothing."""

    push: bool | None = None
    load: bool = False
    no_cache: bool = False
    pull: bool = False
    builder: str = ""
    publish: str = ""
    platforms: tuple[Platform, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """All values from outside the plan file.

    `variables` are the texts of `--var`, `values` the TOML values of `--var-file`, and `files` maps the names in
    `values` to their files. With `untrusted`, no variable of the plan takes its value from `environment`. `limits` are
    the limits of all templates together. `set_overrides` are the values of `--set`. `git` is called only for the facts
    that the plan uses. `stored` returns the entry of a builder in buildx's store, or None.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    untrusted: bool = False
    limits: PlanLimits = field(default_factory=PlanLimits)
    stored: Callable[[str], StoredBuilder | None] = lambda _: None
    overrides: Overrides = field(default_factory=Overrides)
    set_overrides: tuple[SetOverride, ...] = ()
    git: AskGit = no_git
