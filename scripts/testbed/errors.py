"""The one error of the testbed."""

from __future__ import annotations

from typing import ClassVar


class TestbedError(Exception):
    """Something the testbed needs can not be had; the message says what and what to do about it."""

    __test__: ClassVar[bool] = False  # the name begins as pytest's test classes do
