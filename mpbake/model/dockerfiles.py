"""What a Dockerfile is built from, as far as a look at its lines tells. Pure."""

from __future__ import annotations

import re

_FROM = re.compile(r"[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(?P<image>\S+)(?:[ \t]+AS[ \t]+(?P<stage>\S+))?", re.IGNORECASE)
_COMMENT = re.compile(r"[ \t]*#")
_HEREDOC = re.compile(r"(?<!<)<<-?[\"']?([A-Za-z_]\w*)[\"']?")
_PLATFORM = re.compile(r"\s--platform=", re.IGNORECASE)
_SYNTAX = re.compile(r"(?:#[^\n]*\n)*?#[ \t]*syntax[ \t]*=[ \t]*(?P<image>\S+)", re.IGNORECASE)
_WITH_CONTEXTS = re.compile(
    r"(?:docker\.io/)?docker/dockerfile(?:-upstream)?"
    r"(?::(?:latest|labs|master|1|1-labs|1\.(?:[4-9]|[1-9]\d)(?:[.-].*)?))?(?:@.*)?"
)
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


def base_image(text: str, stage: str = "") -> str:
    """What a stage of a Dockerfile, or its last one, is built upon at last, as written.

    Empty where that is of a platform that is named, or where nobody can tell.
    """
    known = [found for line in _instructions(text) if (found := _FROM.match(line))]
    names = [(found["stage"] or "").lower() for found in known]
    wanted = stage.lower()
    if not wanted:
        at = len(known) - 1
    elif wanted.isdecimal():
        at = int(wanted)
    else:
        at = max((index for index, name in enumerate(names) if name == wanted), default=-1)
    while 0 <= at < len(known):
        if _PLATFORM.search(known[at][0]):
            return ""
        image = known[at]["image"]
        before = [index for index, name in enumerate(names[:at]) if name == image.lower()]
        if not before:
            return image
        at = before[-1]
    return ""


def may_mention(text: str, word: str) -> bool:
    """Whether a name may be meant somewhere in a Dockerfile, or in an argument of its build."""
    return re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", text) is not None


def knows_contexts(text: str) -> bool:
    """Whether the frontend that a Dockerfile asks for knows of named contexts, as that of BuildKit itself does."""
    said = _SYNTAX.match(text)
    return said is None or _WITH_CONTEXTS.fullmatch(said["image"]) is not None


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
