"""The cluster changes nothing of the machine on which it runs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.testbed_cluster.settings import KERNEL_SETTINGS

if TYPE_CHECKING:
    from tests.testbed_cluster.cluster import RealCluster

pytestmark = pytest.mark.cluster


def test_a_running_cluster_stays_in_its_namespaces(cluster: RealCluster) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    assert str(cluster.place.root) not in mounts
    assert not any(Path("/var/lib/kubelet").iterdir())
    assert subprocess.run(("ip", "link", "show", "cni0"), capture_output=True, check=False).returncode != 0


def test_kubelet_changes_no_kernel_setting_of_the_machine(cluster: RealCluster) -> None:
    """It writes only where it does not read what it wants; files with these values are laid over the settings."""
    inside = "".join(Path(f"/proc/{pid}/mountinfo").read_text() for pid in cluster.processes())
    for name, value in KERNEL_SETTINGS.items():
        assert f" /proc/sys/{name} " in inside
        assert cluster.settings.file(f"kernel/{name}").read_text() == f"{value}\n"
