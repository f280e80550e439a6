"""Calls a user's code so that whatever it raises, or an ``os._exit``, fails the day that it computes and nothing else.

What no code in this process can hold back, such as a segmentation fault, is found by the next run (``run_note``).
"""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from state.errors import Interrupted

exit_process = os._exit
"""The real ``os._exit``, which ends this process whatever is being computed."""


class ProcessExit(BaseException):
    """The user's code called ``os._exit``."""


class _Guard:
    """In which process ``os._exit`` raises, in its main thread too or not, and for how many threads."""

    process = 0
    main_thread = False
    threads = 0
    lock = threading.Lock()


@contextmanager
def exit_guard(*, main_thread: bool = False) -> Iterator[None]:
    """While it is entered, ``os._exit`` raises ``ProcessExit`` in this process; in a forked child it ends the child.

    In the main thread it does so only where that is asked for. A child that was forked by the user's code, and comes
    back from it, ends here: it must not compute on.
    """
    process = os.getpid()
    with _Guard.lock:
        _Guard.process = process
        _Guard.main_thread = main_thread
        _Guard.threads += 1
        os._exit = _guarded_exit
    try:
        yield
    finally:
        if os.getpid() != process:
            exit_process(0)
        with _Guard.lock:
            _Guard.threads -= 1
            if not _Guard.threads:
                os._exit = exit_process


def _guarded_exit(status: int) -> NoReturn:
    if os.getpid() == _Guard.process and (_Guard.main_thread or not _is_main_thread()):
        raise ProcessExit(status)
    exit_process(status)


@dataclass(frozen=True, slots=True)
class Raised:
    """What a user's code raised in place of an answer."""

    error: BaseException


Answer = TypeVar("Answer")


def guarded_call(call: Callable[[], Answer]) -> Answer | Raised:
    """What a call that runs a user's code returns, or what it raises.

    ``sys.exit``, a cancellation and another library's panic are no Exceptions, and are that code's failure like any
    other. What a signal raises is passed on: Python does that in the main thread alone, and a run computes in others.
    Memory and files that the failed functions held are released. A child that the code forked ends where it returns.
    """
    process = os.getpid()
    try:
        return call()
    except BaseException as error:
        if _is_main_thread() and isinstance(error, Interrupted | KeyboardInterrupt | SystemExit):
            raise
        traceback.clear_frames(error.__traceback__)  # or the other days would have to do without what they hold
        return Raised(error)
    finally:
        if os.getpid() != process:
            exit_process(0)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
