"""Names of variables whose values are probably secret. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECRET = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|(?:^|_)PASS(?:_|$)|CREDENTIAL|PRIVATE|(?:_|API|ACCESS)KEY", re.IGNORECASE
)
INVENTED = "other"
"""The value of a variable in place of a secret."""


def looks_secret(name: str) -> bool:
    """Whether the value of a variable is probably secret, by its name."""
    return _SECRET.search(name) is not None


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with an invented text for each value that is probably secret."""
    return {**environment, **dict.fromkeys(invented_secrets(environment), INVENTED)}


def invented_secrets(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables whose values `without_secrets` replaces."""
    return tuple(name for name, value in environment.items() if value and looks_secret(name))
