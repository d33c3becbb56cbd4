"""The runs of a sweep, here or on a cluster: each leaves its own folder, and the folders make the table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eqsolve.arrays import whole_number
from eqsolve.backends import Limits
from eqsolve.driver import Checkpoints, InvalidRun, Status, solve
from eqsolve.driver.archive import read_run
from eqsolve.driver.checkpoint import LATEST, PREVIOUS, identity_of
from eqsolve.driver.interrupt import Interrupts
from eqsolve.driver.loop import checked_limits
from eqsolve.errors import EqsolveError
from eqsolve.files import MANIFEST, json_text, make_folder, write_text
from eqsolve.modelfile import Model, read_model
from eqsolve.sweep.plan import Cell, Plan
from eqsolve.sweep.table import ERROR, RESULT, collect, write_table
from eqsolve.version import __version__

Progress = Callable[[int, int], None]
"""Called with the number of runs that are done and of all runs."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker needs for one run; plain values, so that it can travel."""

    cell: Cell
    plan: Plan
    folder: Path
    limits: Limits
    resume: bool
    checkpoint_seconds: float


def sweep(
    model: str | Path,
    settings: Mapping[str, Sequence[Any]] | None = None,
    seeds: int | Iterable[int] | None = None,
    folder: str | Path = "sweep",
    n_jobs: int | None = None,
    *,
    backend: str | None = None,
    limits: Limits | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 10.0,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Run a model with every combination of settings and seeds.

    Parameters
    ----------
    model : the path of a model file, or the name of one that comes along.
    settings : the values to try, by the dotted path of the key: ``{"game.players": [50, 100]}``.
    seeds : of the runs: their number (from 0), or the seeds; the model's own when left out.
    folder : filled with one folder per run (a saved result, and its checkpoint), ``table.csv``, ``table.json``, ``figure.png``.
    n_jobs : runs at once, through joblib; when left out as ``joblib.parallel_config`` says, and otherwise one.
        ``parallel_config(backend="dask")`` runs them on a cluster that sees the same files.
    backend, limits : in place of the model's, for every run.
    resume : go on with the sweep in the folder. Runs that ended by their own rule, or by the budget of iterations they are given
        now, stand; the others go on from their checkpoints.

    Returns
    -------
    One plain dict per run, in the order of the settings with the seed changing fastest, and the same (``seconds`` aside) whatever
    ran where: ``run``, ``folder``, the settings, ``seed``, ``status``, ``value``, ``gap_lower``, ``gap_upper``, the bounds,
    ``iterations``, ``seconds``, ``error``. A run that fails has its error there; after Ctrl-C the others have no status.

    Raises
    ------
    InvalidData, UnknownName, FileTrouble : the model, the settings or the folder; see ``Plan``. No model of the sweep can be read.
    """
    plan, root = Plan.of(model, settings, seeds, backend), Path(folder)
    jobs = None if n_jobs is None else -1 if n_jobs == -1 else whole_number("n_jobs", n_jobs, 1)
    Checkpoints(root, checkpoint_seconds)
    budget = checked_limits(limits)
    cells = plan.cells()
    _check_models(plan, cells)
    plan.claim(root, resume=resume)
    tasks = [Task(cell, plan, root.absolute(), budget, resume, checkpoint_seconds) for cell in cells]
    try:
        with Interrupts() as interrupts:
            interrupts.asked = True  # The first signal ends the sweep, between runs too.
            _run_all(tasks, jobs, progress)
    except KeyboardInterrupt:
        return write_table(root, collect(root, cells))
    return write_table(root, collect(root, cells))


def _run_all(tasks: list[Task], n_jobs: int | None, progress: Progress | None) -> None:
    from joblib import Parallel, delayed

    done = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(delayed(run_cell)(task) for task in tasks)
    for k, _ in enumerate(done):
        if progress is not None:
            progress(k + 1, len(tasks))


def _check_models(plan: Plan, cells: list[Cell]) -> None:
    """Refuse a sweep of which no model can be read, such as for a misspelt key, before anything is written."""
    first: EqsolveError | None = None
    for cell in cells:
        try:
            read_model(plan.model, cell.changes())
        except EqsolveError as error:
            first = first or error
        else:
            return
    if first is not None:
        raise first


def run_cell(task: Task) -> None:
    """One run, in its folder; whatever goes wrong in it is written there and ends no other run."""
    folder = make_folder(task.folder / task.cell.folder)
    try:
        _run(task, folder)
    except Exception as error:  # also errors that are nobody's intention: they belong to this run alone
        told = {"error": type(error).__name__, "message": str(error)}
        write_text(folder / ERROR, f"{json_text(told)}\n")
    else:
        (folder / ERROR).unlink(missing_ok=True)


def _run(task: Task, folder: Path) -> None:
    model = read_model(task.plan.model, task.cell.changes())
    given, own = task.limits, model.limits
    limits = Limits(
        own.seconds if given.seconds is None else given.seconds, own.iterations if given.iterations is None else given.iterations
    )
    model = replace(model, backend=task.plan.backend or model.backend, seed=task.cell.seed, limits=limits)
    if task.resume and (folder / MANIFEST).exists() and _stands(folder, model):
        return
    resume = task.resume and any((folder / name).exists() for name in (LATEST, PREVIOUS))
    result = solve(
        model.game,
        model.algorithm,
        backend=model.backend,
        seed=model.seed,
        limits=limits,
        checkpoint=Checkpoints(folder, task.checkpoint_seconds, resume),
    )
    result.save(folder)
    if result.status is Status.INTERRUPTED:
        raise KeyboardInterrupt


def _stands(folder: Path, model: Model) -> bool:
    """Whether a finished run needs no more work.

    Raises
    ------
    InvalidRun : it has changed since, or is of another game, algorithm, backend or version.
    """
    mine = identity_of(model.game, model.algorithm, model.backend, model.seed, __version__)
    manifest, files = read_run(folder)
    for key, value in manifest["run"].items():
        if mine[key] != value:
            raise InvalidRun(
                f"the run in {folder} is of another {key}: {value}, and this sweep has {mine[key]}",
                "A data file of the model may have changed. Start the sweep in another folder.",
            )
    held = json.loads(files[RESULT])
    if held["status"] == Status.OUT_OF_ITERATIONS:
        return model.limits.iterations is not None and model.limits.iterations <= held["iterations"]
    return not Status(held["status"]).is_budget
