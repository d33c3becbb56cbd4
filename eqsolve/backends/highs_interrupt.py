"""Ctrl-C during a run of HiGHS: the run ends in order, and the point in hand is kept."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

import highspy


class Interruptible:
    """While entered, Ctrl-C asks HiGHS to stop; HiGHS looks at its callbacks, which cost it about a microsecond each.

    Outside the main thread, where Python delivers no signals, nothing is done. A Ctrl-C that the run did not heed (some
    solvers of HiGHS do not look) is handed on to the handler that stood before, so that none is lost.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._asked = asked = [False]  # the callback must not lead back to the model: no collector sees through HiGHS
        self.heeded = False
        self._before: Any = None

        def look(kind: object, message: object, out: object, back: Any, data: object) -> None:
            back.user_interrupt = asked[0]  # set either way: HiGHS keeps it from one run to the next

        model.setCallback(look, None)
        kinds = highspy.cb.HighsCallbackType
        self._kinds = (kinds.kCallbackSimplexInterrupt, kinds.kCallbackIpmInterrupt, kinds.kCallbackMipInterrupt)

    @property
    def asked(self) -> bool:
        """Whether Ctrl-C was pressed in the present or last run."""
        return self._asked[0]

    def __enter__(self) -> Self:
        self._asked[0] = self.heeded = False
        self._before = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
        if callable(self._before):
            for kind in self._kinds:
                self._model.startCallback(kind)
            signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not callable(self._before):
            return
        signal.signal(signal.SIGINT, self._before)
        for one in self._kinds:
            self._model.stopCallback(one)
        if self.asked and not self.heeded:
            self._before(signal.SIGINT, None)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked[0] = True
