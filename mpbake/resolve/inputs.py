"""What a plan is resolved with besides its file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class Overrides:
    """What the command line changes in every target. An empty value, or None, changes nothing."""

    push: bool | None = None
    load: bool = False
    no_cache: bool = False
    pull: bool = False
    builder: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What comes from outside the file.

    `variables` are those of `--var` as text, `values` those of `--var-file` as TOML gives them.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    overrides: Overrides = field(default_factory=Overrides)
