"""Decide whether buildx may start git in a context. buildx records the commit in the provenance of an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.resolve.git_program import GitProgram
from mpbake.resolve.template.filters import FilterError

if TYPE_CHECKING:
    from collections.abc import Mapping

WITHOUT_GIT = {"BUILDX_GIT_INFO": "false"}
"""The environment variables with which buildx starts no git."""
_PARTIAL_CLONE = r"^(remote\..*\.promisor|extensions\.partialclone)$"


def may_start_git(context: str, environment: Mapping[str, str]) -> bool:
    """Whether git, started by buildx in `context`, starts no programs that the files there name.

    In a partial clone, git fetches objects that are missing, with the programs that the configuration of the repository
    names. A checkout can contain such a repository: a folder with the files of a bare repository. buildx passes git an
    environment of its own, so mpbake cannot prevent this by variables.
    """
    folder = Path(context)
    if not folder.is_dir():
        return True
    program = GitProgram(folder, environment)
    try:
        program.run("rev-parse", "--git-dir")  # fails without a repository, and in a bare one
        return program.run("config", "--get-regexp", _PARTIAL_CLONE, allowed_codes=(0, 1)).code == 1
    except FilterError:
        return False
