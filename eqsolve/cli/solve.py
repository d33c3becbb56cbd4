"""``eqsolve solve``."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eqsolve.backends import Limits
from eqsolve.cli.app import MET, NOT_MET
from eqsolve.cli.output import Folder, print_json
from eqsolve.driver import Checkpoints, NothingReached, Result, solve
from eqsolve.driver.interrupt import Interrupts
from eqsolve.errors import FileTrouble, InvalidData
from eqsolve.modelfile import Model, read_model
from eqsolve.sweep import PLAN
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
        """The model with the changes.

        Raises
        ------
        EqsolveError : see ``read_model``; a change that is not KEY=VALUE; a budget that is not positive.
        """
        model = read_model(self.model, changes_of(self.changes))
        return replace(
            model,
            backend=self.backend or model.backend,
            seed=model.seed if self.seed is None else self.seed,
            limits=limits_of(model.limits, self.seconds, self.iterations),
        )


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a run is carried out: in which folder, from where, how fast, how loud."""

    out: Path | None = None
    resume: bool = False
    checkpoint_seconds: float = 10.0
    jobs: int = 1
    progress: bool | None = None

    def checkpoints(self) -> Checkpoints | None:
        """Where the run leaves its checkpoints.

        Raises
        ------
        InvalidData : nothing to resume from is named. FileTrouble : the folder holds a sweep.
        """
        if self.out is None:
            if self.resume:
                raise InvalidData("--resume is given without --out", "Name the folder of the run that is to be resumed: --out DIR.")
            return None
        if (self.out / PLAN).exists():
            raise FileTrouble(f"{self.out} holds a sweep", "Choose another folder with --out.")
        return Checkpoints(self.out, self.checkpoint_seconds, self.resume)


def changes_of(pairs: tuple[str, ...]) -> dict[str, str]:
    """``KEY=VALUE`` texts as keys and values.

    Raises
    ------
    InvalidData : one without a key or an equals sign.
    """
    changes = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InvalidData(f"--set {pair} is not KEY=VALUE", "For example: --set game.players=200")
        changes[key] = value
    return changes


def limits_of(limits: Limits, seconds: float | None, iterations: int | None) -> Limits:
    """The budget with what the command line says in place of what the model file says.

    Raises
    ------
    InvalidData : seconds that are not positive.
    """
    if seconds is not None and not seconds > 0:
        raise InvalidData(f"--seconds is {seconds:g}; it must be positive")
    return Limits(seconds or limits.seconds, iterations or limits.iterations)


def run_solve(request: Request, conduct: Conduct, as_json: bool) -> int:
    """Solve, save, print; the exit status."""
    checkpoints = conduct.checkpoints()
    model = request.read()
    Folder.checked(conduct.out)
    try:
        result = run_model(model, conduct, checkpoints)
    except (NothingReached, KeyboardInterrupt) as end:
        return _nothing(model, end, as_json)
    trouble = _save(result, conduct.out)
    if as_json:
        print_json(result.to_json())
    else:
        print(result)
        if conduct.out is not None and trouble is None:
            print(f"  saved in {conduct.out}")
    if trouble is not None:
        raise trouble
    return MET if result.is_converged else NOT_MET


def run_model(model: Model, conduct: Conduct, checkpoints: Checkpoints | None = None) -> Result[Any, Any, Any]:
    """Run the model's algorithm with its limits; the run is shown on stderr where that is a terminal."""
    result: Result[Any, Any, Any] = solve(
        model.game,
        model.algorithm,
        backend=model.backend,
        seed=model.seed,
        limits=model.limits,
        n_jobs=conduct.jobs,
        progress=sys.stderr.isatty() if conduct.progress is None else conduct.progress,
        checkpoint=checkpoints,
    )
    return result


def _save(result: Result[Any, Any, Any], out: Path | None) -> FileTrouble | None:
    """Save, whatever signals come; what hinders it is told after the answer has been printed."""
    if out is None:
        return None
    try:
        with Interrupts():
            result.save(out)
    except FileTrouble as trouble:
        return trouble
    return None


def _nothing(model: Model, end: NothingReached | KeyboardInterrupt, as_json: bool) -> int:
    """Tell that there is no answer, and why."""
    why = end.what if isinstance(end, NothingReached) else "interrupted before there was an answer"
    notes = end.notes if isinstance(end, NothingReached) else ()
    for line in (*notes, end if isinstance(end, NothingReached) else why):
        print(line, file=sys.stderr)
    if as_json:
        nothing: dict[str, Any] = dict.fromkeys(("value", "gap", "iterations", "seconds"))
        what = {"model": getattr(model.game, "name", model.system), "system": model.system, "backend": model.backend}
        how = {"algorithm": {"name": type(model.algorithm).__name__}, "seed": model.seed, "version": __version__}
        print_json({"status": why, "reason": ""} | nothing | {"bounds": []} | what | how | {"notes": list(notes)})
    return NOT_MET
