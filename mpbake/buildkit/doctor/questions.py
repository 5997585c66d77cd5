"""Asks questions in parallel. Each question gets an answer before the deadline, or a reason for the missing answer."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mpbake.base.errors import Cancelled, MpbakeError
from mpbake.base.limits import affordable_threads
from mpbake.base.text import duration
from mpbake.graph.doctor.facts import Unanswered

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
DEADLINE = 75.0
"""Seconds for all questions.

Commands of docker, buildx and kubectl have earlier deadlines, but access to a dead network disk has no deadline.
"""
_WORKERS = 16
_POLL = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Deadline:
    """The end of the wait for answers: at the time `end` of `time.monotonic`, or when the user stops the command."""

    cancelled: Callable[[], bool]
    seconds: float = DEADLINE
    end: float = field(init=False)

    def __post_init__(self) -> None:
        """Start the time now."""
        object.__setattr__(self, "end", time.monotonic() + self.seconds)


class Question(Generic[T]):
    """A question that is being answered."""

    def __init__(self, find: Callable[[], T], deadline: Deadline) -> None:
        """`find` returns the answer, or raises MpbakeError with the reason for the missing answer."""
        self._find = find
        self._deadline = deadline
        self._results: list[T | Unanswered] = []
        self._errors: list[BaseException] = []
        self._finished = threading.Event()

    @property
    def is_open(self) -> bool:
        """Whether the question has no answer yet."""
        return not self._finished.is_set()

    def work(self) -> None:
        """Find the answer."""
        try:
            self._results.append(self._find())
        except Cancelled as error:
            self._errors.append(error)
        except MpbakeError as error:
            self._results.append(Unanswered(reason=error.message, remedy=error.hint))
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises the error
            self._errors.append(error)
        finally:
            self._finished.set()

    def answer(self) -> T | Unanswered:
        """Wait for the answer until the deadline. Raises Cancelled."""
        while not self._finished.wait(_POLL):
            if self._deadline.cancelled():
                raise Cancelled("cancelled")
            if time.monotonic() >= self._deadline.end:
                return Unanswered(reason=f"no answer within {duration(self._deadline.seconds)}")
        if self._errors:
            raise self._errors[0]
        return self._results[0]


class Questions:
    """Questions that are answered in parallel, in background threads that do not keep the process alive."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._waiting: queue.SimpleQueue[Question[Any]] = queue.SimpleQueue()
        self._asked: list[Question[Any]] = []
        self._workers = 0

    def ask(self, find: Callable[[], T]) -> Question[T]:
        """Start to find an answer."""
        question = Question(find, self._deadline)
        self._asked.append(question)
        self._waiting.put(question)
        if self._workers < affordable_threads(_WORKERS):
            self._workers += 1
            threading.Thread(target=self._work, daemon=True, name="doctor").start()
        return question

    @property
    def has_open(self) -> bool:
        """Whether a question is still without an answer."""
        return any(question.is_open for question in self._asked)

    def _work(self) -> None:
        while True:
            self._waiting.get().work()
