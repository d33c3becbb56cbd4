"""Ctrl-C and SIGTERM: the first lets the present step end, the second drops it."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While entered, signals are remembered instead of ending the program; only in the main thread, where Python delivers them.

    The first one sets ``asked``; another one raises KeyboardInterrupt in whatever is running.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for one in SIGNALS:
                before = signal.getsignal(one)
                # A handler that is not Python's own is not ours to replace: it could not be put back.
                if before is not None and before is not signal.SIG_IGN:
                    self._before[one] = signal.signal(one, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for one, before in self._before.items():
            signal.signal(one, before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
