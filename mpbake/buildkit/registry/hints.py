"""Hints for failures of registries, whether mpbake, BuildKit or an engine has sent the request."""

from __future__ import annotations

RIGHTS_HINT = "check docker login and your rights in the repository"
"""The hint for a registry that denies a request."""
SERVER_ERROR_HINT = "run again later: the registry, or a proxy in front of it, does not work"
"""The hint for a registry that answers with a server error."""
OTHER_PUSH_HINT = "run again: another run may have pushed the same tags at the same time"
"""The hint for a registry that does not serve the pushed image."""
