"""A run on the terminal while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from eqsolve.driver.history import Record
from eqsolve.driver.interrupt import Interrupts

Progress = Callable[[int, Record], None]
"""Called after every step with its number and its record."""

REFRESH = 0.1
"""Seconds between two lines."""


@contextmanager
def reporter(progress: bool | Progress, algorithm: Any, interrupts: Interrupts, notes: Sequence[str]) -> Iterator[Progress]:
    """The function that the loop calls after every step; a terminal shows the notes first, such as whence it is resumed."""
    if callable(progress):
        yield progress
    elif not progress:
        yield _silent
    else:
        from rich.console import Console

        name = type(algorithm).__name__
        console = Console(stderr=True)
        for note in notes:
            console.print(note, markup=False, highlight=False, soft_wrap=True)
        with console.status(f"{name}: starting") as status:
            shown = perf_counter()

            def show(iteration: int, record: Record) -> None:
                nonlocal shown
                now = perf_counter()
                if now - shown < REFRESH:
                    return
                shown = now
                ending = "  (ending; Ctrl-C again drops the step)" if interrupts.asked else ""
                facts = ", ".join(f"{key} {value:,.6g}" for key, value in record.items())
                status.update(f"{name}: iteration {iteration + 1:,}: {facts}{ending}")

            yield show


def _silent(iteration: int, record: Record) -> None:
    pass
