"""The end of a program: the exit code, and no traceback for errors that have an explanation."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError
from mpbake.base.streams import silence, standard_streams

if TYPE_CHECKING:
    from collections.abc import Callable

_INTERRUPTED = 130
_BROKEN_PIPE = 141


def exit_code_of(program: Callable[[], int], describe: Callable[[MpbakeError], str]) -> int:
    """Call a program, and return its exit code. `describe` returns the lines for an error, for the log of the job."""
    try:
        with standard_streams():
            try:
                code = program()
            except MpbakeError as error:
                code = error.exit_code
                sys.stdout.write(describe(error))
            sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)
        return _BROKEN_PIPE
    except MpbakeError as error:  # standard output is full
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code
