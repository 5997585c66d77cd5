"""What a Dockerfile is built from, as far as a look at its lines tells. Pure."""

from __future__ import annotations

import re

_FROM = re.compile(r"[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(?P<image>\S+)(?:[ \t]+AS[ \t]+(?P<stage>\S+))?", re.IGNORECASE)
_COMMENT = re.compile(r"[ \t]*#")
_HEREDOC = re.compile(r"(?<!<)<<-?[\"']?([A-Za-z_]\w*)[\"']?")
_GOES_ON = re.compile(r"[\\`][ \t]*$")


def images_from(text: str) -> tuple[str, ...]:
    """What stands after the FROMs of a Dockerfile and is none of its own stages, as written, each once."""
    found: dict[str, None] = {}
    stages: set[str] = set()
    for line in _instructions(text):
        said = _FROM.match(line)
        if said is None:
            continue
        if said["image"].lower() not in stages:
            found[said["image"]] = None
        if said["stage"]:
            stages.add(said["stage"].lower())
    return tuple(found)


def _instructions(text: str) -> list[str]:
    """The first line of each instruction: without what goes on below it, and without documents within."""
    found: list[str] = []
    ends: list[str] = []
    goes_on = False
    for line in text.splitlines():
        if ends:
            ends = ends[1:] if line.strip() == ends[0] else ends
        elif not _COMMENT.match(line):
            if not goes_on:
                found.append(line)
            goes_on, ends = bool(_GOES_ON.search(line)), _HEREDOC.findall(line)
    return found
