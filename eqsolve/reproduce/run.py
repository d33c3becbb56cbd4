"""Reproducing a paper: its parts are computed one after another, and each is in its files before the next one begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from eqsolve.arrays import whole_number
from eqsolve.errors import unknown
from eqsolve.files import alone, make_folder
from eqsolve.reproduce.parts import Part, Work

PAPERS = {
    "bayesian-network": "eqsolve.reproduce.bayesian_network",
    "mean-field": "eqsolve.reproduce.mean_field",
}
"""The papers by name; each module has ``parts(work)``, which yields them, the last one being ``claims``."""


def reproduce(
    paper: str, folder: str | Path, *, seed: int = 0, quick: bool = False, show: Callable[[str], None] | None = None
) -> Iterator[Part]:
    """Compute what a paper claims, and write it down.

    Parameters
    ----------
    paper : one of ``PAPERS``. folder : filled with a CSV and a JSON file per part, and figures as PNG.
    seed : of everything random; the same seed gives the same bytes. quick : fewer and shorter runs.
    show : called with a line about what is being computed.

    Returns
    -------
    The parts, as they are done and written; Ctrl-C ends with KeyboardInterrupt and keeps what was written.

    Raises
    ------
    UnknownName : another paper. FileTrouble : the folder cannot be written. InvalidData : a negative seed.
    """
    if paper not in PAPERS:
        raise unknown("paper", paper, PAPERS)
    work = Work(whole_number("seed", seed, 0), quick, show or (lambda text: None))
    root = make_folder(Path(folder))
    return _parts(PAPERS[paper], root, work)


def _parts(module: str, root: Path, work: Work) -> Iterator[Part]:
    with alone(root):
        for part in import_module(module).parts(work):
            part.write(root)
            yield part
