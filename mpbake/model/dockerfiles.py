"""The base images of a Dockerfile, read from its lines without a full parser. Pure."""

from __future__ import annotations

import re

_FROM = re.compile(r"[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(?P<image>\S+)(?:[ \t]+AS[ \t]+(?P<stage>\S+))?", re.IGNORECASE)
_COMMENT = re.compile(r"[ \t]*#")
_HEREDOC = re.compile(r"(?<!<)<<-?[\"']?([A-Za-z_]\w*)[\"']?")
_PLATFORM_FLAG = re.compile(r"\s--platform=", re.IGNORECASE)
_SYNTAX = re.compile(r"(?:#[^\n]*\n)*?#[ \t]*syntax[ \t]*=[ \t]*(?P<image>\S+)", re.IGNORECASE)
_WITH_CONTEXTS = re.compile(
    r"(?:docker\.io/)?docker/dockerfile(?:-upstream)?"
    r"(?::(?:latest|labs|master|1|1-labs|1\.(?:[4-9]|[1-9]\d)(?:[.-].*)?))?(?:@.*)?"
)
_CONTINUATION = re.compile(r"[\\`][ \t]*$")


def images_from(text: str) -> tuple[str, ...]:
    """Return the images that the FROM instructions of a Dockerfile name, each once, as written; leave out stages."""
    images: dict[str, None] = {}
    stages: set[str] = set()
    for line in _instructions(text):
        instruction = _FROM.match(line)
        if instruction is None:
            continue
        if instruction["image"].lower() not in stages:
            images[instruction["image"]] = None
        if instruction["stage"]:
            stages.add(instruction["stage"].lower())
    return tuple(images)


def base_image(text: str, stage: str = "") -> str:
    """Return the base image of a stage (default: the last stage), as written; follow FROM through earlier stages.

    Return an empty string if one of these FROMs has `--platform`, or if the base image cannot be determined.
    """
    stages = [instruction for line in _instructions(text) if (instruction := _FROM.match(line))]
    names = [(instruction["stage"] or "").lower() for instruction in stages]
    current = _index_of(stage.lower(), names)
    while 0 <= current < len(stages):
        if _PLATFORM_FLAG.search(stages[current][0]):
            return ""
        image = stages[current]["image"]
        earlier = [index for index, name in enumerate(names[:current]) if name == image.lower()]
        if not earlier:
            return image
        current = earlier[-1]
    return ""


def _index_of(stage: str, names: list[str]) -> int:
    """Return the index of the stage with the name or number `stage` (empty: the last stage); -1 if it is unknown."""
    if not stage:
        return len(names) - 1
    if stage.isdecimal():
        return int(stage)
    return max((index for index, name in enumerate(names) if name == stage), default=-1)


def may_mention(text: str, word: str) -> bool:
    """Whether `word` occurs as a whole word in a Dockerfile or in a build argument."""
    return re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", text) is not None


def supports_named_contexts(text: str) -> bool:
    """Whether the frontend in the `syntax` line of a Dockerfile supports named contexts.

    BuildKit's own frontend does.
    """
    syntax = _SYNTAX.match(text)
    return syntax is None or _WITH_CONTEXTS.fullmatch(syntax["image"]) is not None


def _instructions(text: str) -> list[str]:
    """Return the first line of each instruction, without continuation lines and here-documents."""
    instructions: list[str] = []
    delimiters: list[str] = []
    is_continued = False
    for line in text.splitlines():
        if delimiters:
            delimiters = delimiters[1:] if line.strip() == delimiters[0] else delimiters
        elif not _COMMENT.match(line):
            if not is_continued:
                instructions.append(line)
            is_continued, delimiters = bool(_CONTINUATION.search(line)), _HEREDOC.findall(line)
    return instructions
