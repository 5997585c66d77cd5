"""Standard output and standard error as a process is really given them: perhaps full, closed, or of few characters."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

from mpbake.base.errors import MpbakeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class OutputFailed(MpbakeError):
    """What was to be said on standard output could not be."""

    exit_code = 1


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Within, `sys.stdout` and `sys.stderr` are streams that can be relied upon.

    What standard output does not take raises OutputFailed, what standard error does not take is dropped: nobody could
    be told. A reader that has gone is neither: BrokenPipeError.
    """
    stdout, stderr = _opened(sys.stdout, 1), _opened(sys.stderr, 2)
    if isinstance(stdout, io.TextIOWrapper):
        stdout.reconfigure(errors="backslashreplace")
    with (
        contextlib.redirect_stdout(cast("TextIO", _Output(stdout, name="standard output"))),
        contextlib.redirect_stderr(cast("TextIO", _Output(stderr))),
    ):
        yield


def silence(stream: TextIO) -> None:
    """Send what `stream` still holds, and all that it is given from now on, nowhere."""
    with contextlib.suppress(OSError):  # also of streams without a descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _opened(stream: TextIO | None, number: int) -> TextIO:
    """`stream`; for one that was closed before we began, which Python does not have, one that takes nothing.

    It holds the stream's `number`, which the next file would get otherwise, and with it what is printed.
    """
    if stream is not None:
        return stream
    descriptor = os.open(os.devnull, os.O_RDONLY)
    while descriptor < number:
        descriptor = os.open(os.devnull, os.O_RDONLY)
    return open(descriptor, "w", encoding="utf-8", closefd=False)


class _Output:
    """A stream whose failures raise OutputFailed, or are nobody's business where it has no `name`.

    One that has failed goes on failing, since whoever tries it first may think nothing of it. It lacks
    the `buffer` of the stream behind it, by which one could pass it by; in all else it is that stream.
    """

    def __init__(self, stream: TextIO, *, name: str = "") -> None:
        self._stream = stream
        self._name = name
        self._failure: OutputFailed | None = None

    def write(self, text: str) -> int:
        with self._told():
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._told():
            self._stream.flush()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            silence(self._stream)  # or Python would try again at the end, and complain
            self._failure = OutputFailed(f"{self._name}: {error.strerror}") if self._name else None
        if self._failure is not None:
            raise self._failure

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)
