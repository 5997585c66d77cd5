"""The marks of nodes: where mpbake stores them, and how it reads them."""

from __future__ import annotations

from mpbake.model.marks import split_mark
from mpbake.model.plan import Driver


def test_a_mark_among_driver_options() -> None:
    """On Kubernetes, older buildx supports no environment variables, and it splits annotations at `=` and `,`."""
    for driver, expected in (
        (Driver.DOCKER_CONTAINER, {"annotations": "a=b", "env.MPBAKE_NODE": "image=1;memory=2"}),
        (Driver.KUBERNETES, {"annotations": "a=b,mpbake-node=image:1;memory:2"}),
    ):
        options = {"annotations": "a=b"}
        assert driver.rules.resource is not None
        assert driver.rules.resource.add_mark is not None
        driver.rules.resource.add_mark(options, "image=1;memory=2")
        assert options == expected
        assert split_mark(options) == "image=1;memory=2"
        assert options == {"annotations": "a=b"}
        assert split_mark(options) == ""
