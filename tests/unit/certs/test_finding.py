"""Findings about files of keys and certificates."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mpbake.base.codes import Code
from mpbake.certs.finding import CertificateFinding, UnusableFile
from tests.checkout import CHECKOUT


def test_a_finding_names_the_key_of_its_file() -> None:
    finding = UnusableFile("is not a certificate", "use a PEM file").finding("deploy", "tls", "cert")
    assert str(finding) == "deploy.tls.cert: is not a certificate"
    assert (finding.hint, finding.is_error) == ("use a PEM file", True)
    doubt = CertificateFinding(key=("tls", "ca"), message="m", hint="h", code=Code.DOUBTFUL_CERTIFICATE)
    assert not doubt.is_error


@pytest.mark.allow_subprocess
@pytest.mark.parametrize(
    "modules", ["mpbake.certs.finding, mpbake.certs.node_files", "mpbake.cli.commands.check", "mpbake.cli.app"]
)
def test_cryptography_is_imported_only_for_certificates(modules: str) -> None:
    script = f"import sys, {modules}; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, check=False).returncode == 0
