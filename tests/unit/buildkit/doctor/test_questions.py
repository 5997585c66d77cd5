"""Questions that are asked in parallel."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from mpbake.base.errors import Cancelled, Unreachable
from mpbake.buildkit.doctor.questions import Deadline, Questions
from mpbake.graph.doctor.facts import Unanswered


def _never() -> bool:
    return False


def test_questions_are_answered_side_by_side() -> None:
    questions = Questions(Deadline(cancelled=_never))
    meeting = threading.Barrier(3, timeout=10)  # nobody passes it alone

    def find() -> int:
        meeting.wait()
        return 7

    asked = [questions.ask(find) for _ in range(3)]
    assert [question.answer() for question in asked] == [7, 7, 7]
    assert not questions.has_open


def test_an_error_is_the_reason_for_no_answer() -> None:
    def find() -> int:
        raise Unreachable("it is gone", hint="start it")

    answer = Questions(Deadline(cancelled=_never)).ask(find).answer()
    assert answer == Unanswered(reason="it is gone", remedy="start it")


def test_a_question_that_hangs_has_no_answer_after_the_deadline() -> None:
    end = threading.Event()
    questions = Questions(Deadline(cancelled=_never, seconds=0.2))
    hanging, quick = questions.ask(lambda: end.wait(60)), questions.ask(lambda: "here")
    began = time.monotonic()
    assert quick.answer() == "here"
    assert hanging.answer() == Unanswered(reason="no answer within 0.2s")
    assert time.monotonic() - began < 10
    assert questions.has_open
    end.set()


def test_a_stopped_command_waits_for_nothing() -> None:
    end = threading.Event()
    questions = Questions(Deadline(cancelled=lambda: True))
    with pytest.raises(Cancelled):
        questions.ask(lambda: end.wait(60)).answer()
    end.set()


def test_a_fault_of_mpbake_itself_is_no_answer() -> None:
    def find() -> int:
        raise RuntimeError("a fault")

    question = Questions(Deadline(cancelled=_never)).ask(find)
    with pytest.raises(RuntimeError, match="a fault"):
        question.answer()


def test_more_questions_than_threads_are_all_answered() -> None:
    questions = Questions(Deadline(cancelled=_never))
    asked = [questions.ask(partial(abs, number)) for number in range(100)]
    assert [question.answer() for question in asked] == list(range(100))
