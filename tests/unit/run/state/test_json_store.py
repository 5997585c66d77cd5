"""Files of JSON entries, valid and damaged."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbake.run.state.json_store import JsonStore

DAMAGED = "is damaged: nothing is known"
NEWER = "was written by a newer mpbake and stays as it is: nothing is known"
values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers() | st.just(10**400),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["format", "things"]), inner),
)


def kept(folder: Path) -> JsonStore:
    return JsonStore(path=folder / "file.json", key="things", format=3, loss="nothing is known")


def number(_: str, value: Any) -> float:
    return float(value)


def test_what_was_kept_is_read(tmp_path: Path) -> None:
    file = kept(tmp_path)
    assert file.read(number) == ({}, "")
    file.write({"b": 1, "a": 2.5})
    assert file.path.read_text() == '{"format": 3, "things": {\n"a": 2.5,\n"b": 1\n}}\n'
    assert file.read(number) == ({"a": 2.5, "b": 1.0}, "")
    file.write({})
    assert file.read(number) == ({}, "")


def test_what_a_newer_mpbake_kept_stays(tmp_path: Path) -> None:
    file = kept(tmp_path)
    file.path.write_text('{"format": 4, "things": {"a": 1}}')
    assert file.read(number) == ({}, f"{file.path} {NEWER}")
    file.write({"a": 2})
    assert json.loads(file.path.read_text()) == {"format": 4, "things": {"a": 1}}


def test_what_has_no_end_is_not_waited_for(tmp_path: Path) -> None:
    file = kept(tmp_path)
    os.mkfifo(file.path)
    assert file.read(number) == ({}, f"{file.path} {DAMAGED}")
    file.write({"a": 1})
    assert file.read(number) == ({"a": 1.0}, "")


@pytest.mark.parametrize("where", ["elsewhere", "/dev/zero"])
def test_no_link_is_followed(tmp_path: Path, where: str) -> None:
    file = kept(tmp_path)
    (tmp_path / "elsewhere").write_text('{"format": 3, "things": {"a": 1}}')
    file.path.symlink_to(where)
    assert file.read(number) == ({}, f"{file.path} {DAMAGED}")


@given(content=values | st.builds(lambda things: {"format": 3, "things": things}, values))
def test_whatever_it_holds_is_read_or_told(content: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = kept(Path(folder))
        file.path.write_text(json.dumps(content))
        entries, warning = file.read(number)
        assert warning.removeprefix(f"{file.path} ") in {"", DAMAGED, NEWER}
        assert not (entries and warning)
        before = file.path.read_text()
        file.write({"a": 1})
        assert (file.path.read_text() == before) == (NEWER in warning)
