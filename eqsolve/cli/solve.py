"""``eqsolve solve``."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eqsolve.aggregative import Equilibrium, NoFeasibleCell
from eqsolve.backends import Limits, get_backend
from eqsolve.cli.app import MET, NOT_MET
from eqsolve.cli.output import Folder, print_json, progress_on_terminal
from eqsolve.errors import BackendUnavailable, InvalidData
from eqsolve.modelfile import Model, read_model
from eqsolve.version import __version__


@dataclass(frozen=True, slots=True)
class Request:
    """A model and what the command line changes in it; None keeps what the file says."""

    model: str
    backend: str | None = None
    seed: int | None = None
    seconds: float | None = None
    iterations: int | None = None
    changes: tuple[str, ...] = ()

    def read(self) -> Model:
        """The model with the changes; its backend is known to exist and to be usable.

        Raises
        ------
        EqsolveError : see ``read_model``; a change that is not KEY=VALUE; a backend that does not exist or cannot be used.
        """
        pairs = {}
        for change in self.changes:
            key, equals, value = change.partition("=")
            if not equals or not key:
                raise InvalidData(f"--set {change} is not KEY=VALUE", "For example: --set game.players=200")
            pairs[key] = value
        model = read_model(self.model, pairs)
        if self.seconds is not None and not self.seconds > 0:
            raise InvalidData(f"--seconds is {self.seconds:g}; it must be positive")
        limits = Limits(self.seconds or model.limits.seconds, self.iterations or model.limits.iterations)
        backend = self.backend or model.backend
        if backend != "auto":
            probe = get_backend(backend).probe()
            if not probe.usable:
                why = "not licensed" if probe.installed else "not installed"
                raise BackendUnavailable(f"backend {backend!r} is {why}", probe.detail)
        return replace(model, backend=backend, seed=model.seed if self.seed is None else self.seed, limits=limits)


def run_solve(request: Request, as_json: bool, out: Path | None) -> int:
    """Solve, print, save; the exit status."""
    model = request.read()
    folder = Folder.checked(out)
    try:
        result = search(model)
    except (NoFeasibleCell, KeyboardInterrupt) as end:
        status = end.what if isinstance(end, NoFeasibleCell) else "interrupted before a feasible cell was found"
        print(end if isinstance(end, NoFeasibleCell) else status, file=sys.stderr)
        if as_json:
            print_json(_nothing(model, status))
        return NOT_MET
    if folder is not None:
        result.save(folder.path)
    if as_json:
        print_json(result.to_json())
    else:
        print(result)
        if folder is not None:
            print(f"  saved in {folder.path}")
    return MET if result.is_converged else NOT_MET


def search(model: Model) -> Equilibrium:
    """Run the model's algorithm with its limits, with progress on a terminal."""
    with progress_on_terminal() as progress:
        result: Equilibrium = model.algorithm.solve(
            model.game, backend=model.backend, seed=model.seed, limits=model.limits, progress=progress
        )
    return result


def _nothing(model: Model, status: str) -> dict[str, Any]:
    return {
        "status": status,
        "value": None,
        "gap": None,
        "bounds": [],
        "iterations": None,
        "seconds": None,
        "model": model.game.name,
        "algorithm": {"name": type(model.algorithm).__name__},
        "backend": model.backend,
        "seed": model.seed,
        "version": __version__,
    }
