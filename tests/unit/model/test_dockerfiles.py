"""The base images of Dockerfiles."""

from __future__ import annotations

import pytest

from mpbake.model.dockerfiles import base_image, images_from
from tests.unit.plans import text


@pytest.mark.parametrize(
    ("dockerfile", "images"),
    [
        ("", ()),
        ("FROM base", ("base",)),
        ("from base\nFrom base AS x", ("base",)),
        ("  FROM --platform=$BUILDPLATFORM --x base AS build", ("base",)),
        ("FROM a AS Build\nFROM build\nFROM BUILD AS c\nFROM c", ("a",)),
        ("FROM build\nFROM a AS build", ("build", "a")),
        ("FROM ${BASE}\nFROM r/a:1@sha256:0", ("${BASE}", "r/a:1@sha256:0")),
        ("# FROM a\nFROMAGE b\nFROM", ()),
        ("FROM a\r\nFROM b\r\n", ("a", "b")),
    ],
)
def test_what_is_built_from(dockerfile: str, images: tuple[str, ...]) -> None:
    assert images_from(dockerfile) == images


def test_what_only_looks_like_an_instruction() -> None:
    assert images_from(
        text(r"""
        FROM a
        RUN echo \
        # a comment does not end the instruction
        FROM b
        RUN <<EOF cat <<-"two"
        FROM c
        EOF
        FROM d
          two
        FROM e
        RUN cat <<< "x" && echo $((1<<2))
        FROM f
        """)
    ) == ("a", "e", "f")


@pytest.mark.parametrize(
    ("dockerfile", "stage", "base"),
    [
        ("", "", ""),
        ("FROM base", "", "base"),
        ("FROM a AS x\nFROM b AS y\nFROM x", "", "a"),
        ("FROM a AS x\nFROM b", "", "b"),
        ("FROM a AS x\nFROM b", "X", "a"),
        ("FROM a AS x\nFROM b", "0", "a"),
        ("FROM a AS x\nFROM b", "gone", ""),
        ("FROM a AS x\nFROM b", "7", ""),
        ("FROM x\nFROM a AS x", "", "a"),
        ("FROM x AS x", "", "x"),
        ("FROM --platform=$BUILDPLATFORM a AS x\nFROM x", "", ""),
        ("FROM --platform=$BUILDPLATFORM a AS x\nFROM b\nCOPY --from=x / /", "", "b"),
    ],
)
def test_what_it_is_built_upon_at_last(dockerfile: str, stage: str, base: str) -> None:
    assert base_image(dockerfile, stage) == base
