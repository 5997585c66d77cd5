"""The error of the testbed."""

from __future__ import annotations

from typing import ClassVar


class TestbedError(Exception):
    """Something that the testbed needs is unavailable. The message says what is missing and what to do."""

    __test__: ClassVar[bool] = False  # pytest would collect a class whose name begins with "Test"
