"""The pieces that a reproduction is made of, and their files."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqsolve.driver import Algorithm, Status, solve
from eqsolve.files import json_text, replacing, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, Any]
"""Plain values; all rows of a table have the same keys."""


@dataclass(frozen=True, slots=True)
class Part:
    """A table with its figures.

    Parameters
    ----------
    name : of its files. title : one line.
    rows : everything, for ``<name>.csv`` and ``<name>.json``. shown : what a terminal shows of it, the head first.
    figures : by the names of their files, without the extension.
    runs, certified : how many runs were made for it, and how many of them converged and are certified.
    """

    name: str
    title: str
    rows: Sequence[Row]
    shown: Sequence[Sequence[str]]
    figures: Mapping[str, Figure] = field(default_factory=dict)
    runs: int = 0
    certified: int = 0

    def write(self, folder: Path) -> list[Path]:
        """Write table and figures, each whole or not at all; the paths."""
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, list(self.rows[0]))
        table.writeheader()
        table.writerows(self.rows)
        paths = [
            write_text(folder / f"{self.name}.csv", text.getvalue()),
            write_text(folder / f"{self.name}.json", f"{json_text(list(self.rows))}\n"),
        ]
        for name, figure in self.figures.items():
            paths.append(folder / f"{name}.png")
            with replacing(paths[-1]) as beside:
                figure.savefig(beside, dpi=150)
        return paths


@dataclass(frozen=True, slots=True)
class Work:
    """What the parts of a paper are computed with.

    Parameters
    ----------
    seed : of everything random. quick : fewer and shorter runs. show : called with what is at hand.
    """

    seed: int = 0
    quick: bool = False
    show: Callable[[str], None] = field(default=lambda text: None)

    def solve(self, game: Any, algorithm: Algorithm[Any, Any, Any], seed: int | None = None) -> Any:
        """The result of ``eqsolve.solve``, which Ctrl-C ends for good."""
        result = solve(game, algorithm, seed=self.seed if seed is None else seed)
        if result.status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        return result
