"""Grants: the rights on this machine that a plan needs beyond an ordinary build. One table says which. Pure."""

from __future__ import annotations

from mpbake.review.grants.needs import PlanContext, grants_of_builders, needed_grants
from mpbake.review.grants.rights import Rights

__all__ = ["PlanContext", "Rights", "grants_of_builders", "needed_grants"]
