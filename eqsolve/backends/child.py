"""Foreign solvers in a process of their own: one that kills itself ends a worker, not the caller.

A worker is started when first needed, answers one request after the other, and is replaced when it dies.
"""

from __future__ import annotations

import atexit
import os
import pickle
import select
import signal
import subprocess
import sys
from importlib import import_module
from threading import Lock
from time import monotonic
from typing import Any, BinaryIO

from eqsolve.errors import BackendFailure, EqsolveError


class ChildTimeout(BackendFailure):
    """A worker that did not answer in time and was stopped."""


class Worker:
    """A Python process that calls functions by name and sends back what they return."""

    def __init__(self) -> None:
        paths = os.pathsep.join(one for one in sys.path if one)
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "eqsolve.backends.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths},
            start_new_session=True,
        )

    @property
    def alive(self) -> bool:
        """Running, and started by this very process (not by one that forked it)."""
        return self._owner == os.getpid() and self._process.poll() is None

    def call(self, target: str, payload: object, seconds: float | None, what: str) -> Any:
        """Send one request and wait for its answer."""
        sender, receiver = self._process.stdin, self._process.stdout
        assert sender is not None
        assert receiver is not None
        try:
            pickle.dump((target, payload), sender)
            sender.flush()
            self._wait(receiver, seconds, what)
            good, answer = pickle.load(receiver)
        except (BrokenPipeError, EOFError, pickle.UnpicklingError) as cause:
            self.stop()
            how = _ending(self._process.wait())
            raise BackendFailure(
                f"{what} took its process down: {how}", "Nothing else is affected; try other options, or another backend."
            ) from cause
        except BaseException:
            self.stop()
            raise
        if not good:
            raise answer
        return answer

    def stop(self) -> None:
        """End the worker and whatever it started."""
        if self._owner == os.getpid():
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                _close(stream)

    def _wait(self, receiver: Any, seconds: float | None, what: str) -> None:
        end = None if seconds is None else monotonic() + seconds
        while not select.select([receiver], [], [], 1.0)[0]:
            if end is not None and monotonic() > end:
                raise ChildTimeout(f"{what} did not keep its time limit and was stopped after {seconds:g} s")


_idle: list[Worker] = []
_lock = Lock()


def call_in_child(target: str, payload: object, *, seconds: float | None = None, what: str = "the solver") -> Any:
    """Call ``target`` (``"package.module:function"``) with one argument in a worker process.

    Argument and answer are pickled. What the function writes to the terminal is dropped.

    Parameters
    ----------
    seconds : wall-clock seconds after which the worker is stopped; None is no limit.
    what : who is to blame, for the message.

    Raises
    ------
    ChildTimeout : no answer in time.
    BackendFailure : the process died, with the signal that ended it; or the function raised an error not of EqSolve.
    EqsolveError : the one that the function raised.
    """
    with _lock:
        worker = None
        while _idle and worker is None:
            candidate = _idle.pop()
            if candidate.alive:
                worker = candidate
            else:
                candidate.stop()
    worker = worker or Worker()
    try:
        return worker.call(target, payload, seconds, what)
    finally:
        if worker.alive:
            with _lock:
                _idle.append(worker)


@atexit.register
def close_workers() -> None:
    """Stop all workers that are not busy; the next call starts a new one."""
    with _lock:
        while _idle:
            _idle.pop().stop()


def _close(stream: Any) -> None:
    try:
        stream.close()
    except OSError:  # unsent bytes to a process that is gone
        return


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    while True:
        try:
            target, payload = pickle.load(requests)
        except EOFError:
            return
        try:
            module, _, name = target.partition(":")
            answer: tuple[bool, object] = (True, getattr(import_module(module), name)(payload))
        except EqsolveError as error:
            answer = (False, error)
        except Exception as error:  # whatever a foreign solver raises becomes one typed error at the caller
            answer = (False, BackendFailure(f"{type(error).__name__}: {error}"))
        pickle.dump(answer, answers)
        answers.flush()


def _main() -> None:
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    _serve(requests, answers)


if __name__ == "__main__":
    _main()
