"""Standard output and standard error that may be closed, full, or limited to a small character set."""

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
    """Writing to standard output failed."""

    exit_code = 1


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Replace `sys.stdout` and `sys.stderr` with streams that handle failures, for the length of the block.

    A failed write to standard output raises OutputFailed. A failed write to standard error is ignored, since no
    stream is left to report it. If the reader has closed the pipe, writing to either stream raises
    BrokenPipeError.
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
    """Discard the buffered output of `stream`, and all later output."""
    with contextlib.suppress(OSError):  # a stream without a descriptor raises a subclass of OSError
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _opened(stream: TextIO | None, number: int) -> TextIO:
    """Return `stream`; if None (closed when this process started), return a stream that refuses all output.

    The replacement occupies descriptor `number`. Otherwise the next opened file would get this descriptor, and the
    output would go to that file.
    """
    if stream is not None:
        return stream
    descriptor = os.open(os.devnull, os.O_RDONLY)
    while descriptor < number:
        descriptor = os.open(os.devnull, os.O_RDONLY)
    return open(descriptor, "w", encoding="utf-8", closefd=False)


class _Output:
    """A stream whose failed writes raise OutputFailed, or are ignored if the stream has no `name`.

    After one failure every write fails, since the first caller may ignore the error. The wrapper hides `buffer`, since
    writes to the buffer would bypass the wrapper. All other attributes come from the wrapped stream.
    """

    def __init__(self, stream: TextIO, *, name: str = "") -> None:
        self._stream = stream
        self._name = name
        self._failure: OutputFailed | None = None

    def write(self, text: str) -> int:
        with self._checked():
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._checked():
            self._stream.flush()

    @contextlib.contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            silence(self._stream)  # otherwise Python retries the write at exit and prints an error
            self._failure = OutputFailed(f"{self._name}: {error.strerror}") if self._name else None
        if self._failure is not None:
            raise self._failure

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)
