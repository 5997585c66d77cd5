"""Annotations in the notation of plans."""

from __future__ import annotations

from mpbake.base.platforms import parse_platform
from mpbake.model.annotations import Annotation, index_annotations, parse_annotations, split_by_level, split_levels

AMD64, ARM64 = parse_platform("linux/amd64"), parse_platform("linux/arm64")


def test_levels_stand_before_the_key() -> None:
    assert split_levels("index,manifest[linux/arm64]:a=b") == (["index", "manifest[linux/arm64]"], "a=b")
    assert split_levels("org.example:a=b") == (["manifest"], "org.example:a=b")
    assert list(split_by_level(["index,manifest:a=b", "c=d"])) == [
        ("index", "a=b"),
        ("manifest", "a=b"),
        ("manifest", "c=d"),
    ]


def test_an_annotation_applies_to_its_platform() -> None:
    single, every, descriptor = parse_annotations(["manifest[linux/arm64]:a=b=c", "d=e", "index-descriptor:f=g"])
    assert single == Annotation(kind="manifest", key="a", value="b=c", platform=ARM64)
    assert (single.applies_to(ARM64), single.applies_to(AMD64)) == (True, False)
    assert every.applies_to(AMD64)
    assert descriptor.kind == "index-descriptor"


def test_annotations_of_an_index() -> None:
    entries = ["index:a=1", "index,index-descriptor:b=2", "manifest:c=3"]
    assert index_annotations(entries) == {"index": {"a": "1", "b": "2"}, "index-descriptor": {"b": "2"}}
