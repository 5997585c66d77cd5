"""Upload tags: the names under which an engine pushes images that have no tag yet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mpbake.graph.delivery import possible_upload_tags, upload_tags
from tests.unit.plans import target_of_text

WEB = target_of_text("[targets.web]\ntags = ['r/web:1', 's/web:2', 'r/web:3']")
API = replace(WEB, name="api")


def test_targets_and_checkouts_never_share_an_upload_tag() -> None:
    tags = [tag for target in (WEB, API) for root in (Path("/one"), Path("/two")) for tag in upload_tags(target, root)]
    assert len(set(tags)) == len(tags) == 8
    assert upload_tags(WEB, Path("/one")) == upload_tags(WEB, Path("/one"))


def test_the_plan_shows_a_pattern_that_is_the_same_in_every_checkout() -> None:
    assert possible_upload_tags(WEB) == ["r/web:mpbake-upload-*", "s/web:mpbake-upload-*"]
    remote = target_of_text(
        "[targets.web]\nbuilder = 'x'\ntags = ['r/web:1']\n[builders.x]\ndriver = 'docker-container'"
    )
    assert possible_upload_tags(remote) == []
