"""Names of variables whose values are probably secret."""

from __future__ import annotations

import pytest

from mpbake.conversion.secret_names import looks_secret, without_secrets


@pytest.mark.parametrize("name", ["NPM_TOKEN", "DB_PASS", "password", "SIGNING_KEY", "APIKEY", "AWS_SECRET_ACCESS_KEY"])
def test_secret_names(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["TAG", "COMPASS", "BYPASS_CACHE", "KEYBOARD", "AUTHOR"])
def test_other_names(name: str) -> None:
    assert not looks_secret(name)


def test_values_of_secrets_are_replaced() -> None:
    assert without_secrets({"TAG": "1", "NPM_TOKEN": "hunter", "DB_PASS": ""}) == {
        "TAG": "1",
        "NPM_TOKEN": "other",
        "DB_PASS": "",
    }
