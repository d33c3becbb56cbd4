"""What a solve of an aggregative game hands back."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqsolve.aggregative.game import AggregativeGame, describe
from eqsolve.aggregative.programs import StageFamily
from eqsolve.aggregative.sweep import SweepResult
from eqsolve.arrays import FloatArray, IntArray, whole_number
from eqsolve.certificates import Bound, GapCertificate, ProgramCertificate
from eqsolve.errors import FileTrouble, InvalidData
from eqsolve.files import json_text, replacing, write_text
from eqsolve.programs import Program
from eqsolve.version import __version__

if TYPE_CHECKING:
    from eqsolve.aggregative.nash import AggregativeNash

PROGRAM_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Equilibrium:
    """A pure profile with its exact Nash gap and the certificate of its selection.

    Parameters
    ----------
    given : the game as it was given. game : the same with equal players merged into types.
    plays : (N,) players per column of ``game``; ``given.plays(actions)`` makes them for the game as given.
    gap : the exact Nash gap. bounds : what the theorems promise, beside it.
    found : the best cell and its stage program. certificate : of that program's answer.
    family : all stage programs, for inspection. seconds : by phase.
    """

    given: AggregativeGame
    game: AggregativeGame
    algorithm: AggregativeNash
    plays: IntArray
    gap: GapCertificate
    bounds: tuple[Bound, ...]
    found: SweepResult
    certificate: ProgramCertificate
    family: StageFamily
    backend: str
    seed: int
    seconds: Mapping[str, float]

    @property
    def actions(self) -> IntArray:
        """(n,) one action per player, in the order of the game as given."""
        return self.game.profile(self.plays)

    @property
    def aggregator(self) -> FloatArray:
        """(d,) the aggregator of the profile."""
        return self.game.aggregator(self.plays)

    @property
    def welfare(self) -> float:
        """The social welfare of the profile."""
        return self.game.social_welfare(self.plays)

    @property
    def selection_gap(self) -> float:
        """Bound on the welfare of the equilibria that the search ranges over, minus the welfare reached."""
        return self.found.bound - self.welfare

    @property
    def status(self) -> str:
        """``converged``, or why not."""
        if self.found.ended == "budget":
            return "stopped by its budget before the search was complete"
        if self.found.ended == "interrupt":
            return "interrupted before the search was complete"
        if not self.certificate.holds(PROGRAM_TOLERANCE):
            return "the certificate of the stage program does not hold"
        proved = [bound for bound in self.bounds if bound.name == "vertex rounding" and bound.value is not None]
        if any(self.gap.upper > (bound.value or 0.0) + self._rounding for bound in proved):
            return "the exact gap exceeds its bound: a Lipschitz constant is too small"
        return "converged"

    @property
    def _rounding(self) -> float:
        """What rounding can make of a payoff difference: of the payoffs themselves, and of sums over players."""
        game = self.game
        payoffs = np.abs(game.payoff.batch(self.aggregator[None, :])).max()
        return float(1e-12 * payoffs + 1e-13 * game.gamma.max() * game.magnitude.max())

    @property
    def is_converged(self) -> bool:
        """Whether the search met its own stopping rule and every certificate holds."""
        return self.status == "converged"

    @property
    def solver(self) -> str:
        """The backend that answered, with its version."""
        return f"{self.found.outcome.backend} {self.found.outcome.version}"

    def program(self, cell: int | None = None) -> Program:
        """The stage program of a cell, 0 to ``family.size - 1``; of the best one by default.

        Raises
        ------
        InvalidData : there is no such cell.
        """
        if cell is None:
            return self.found.program
        number = whole_number("cell", cell, 0)
        if number >= self.family.size:
            raise InvalidData(f"there is no cell {number} in a grid of {self.family.size:,} cells")
        return self.family[number]

    def to_json(self) -> dict[str, Any]:
        """Plain values: what ``eqsolve solve --json`` prints."""
        algorithm = {"name": "AggregativeNash", **asdict(self.algorithm)}
        return {
            "status": self.status,
            "value": self.welfare,
            "value_bound": self.found.bound,
            "gap": self.gap.to_json(),
            "bounds": [bound.to_json() for bound in self.bounds],
            "iterations": self.found.counts.programs,
            "search": {**asdict(self.found.counts), "cells_of_grid": self.family.size, "cell": self.found.cell},
            "aggregator": self.aggregator.tolist(),
            "seconds": dict(self.seconds),
            "model": self.game.name,
            "algorithm": algorithm,
            "backend": self.solver,
            "seed": self.seed,
            "version": __version__,
        }

    def save(self, folder: str | Path) -> Path:
        """Write ``result.json``, ``equilibrium.npz`` and ``actions.csv`` (one row per player); each whole or not at all.

        Raises
        ------
        FileTrouble : the folder cannot be made or written.
        """
        target = Path(folder)
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as cause:
            raise FileTrouble(
                f"cannot make the folder {target}: {cause.strerror}", "Choose a folder that may be written."
            ) from cause
        with replacing(target / "equilibrium.npz") as beside, beside.open("wb") as file:
            point = self.found.outcome.x
            np.savez(file, plays=self.plays, actions=self.actions, aggregator=self.aggregator, point=np.asarray(point))
        with replacing(target / "actions.csv") as beside, beside.open("w", newline="", encoding="utf-8") as file:
            self._write_actions(csv.writer(file))
        write_text(target / "result.json", json_text(self.to_json()) + "\n")
        return target

    def _write_actions(self, rows: Any) -> None:
        game, actions = self.given, self.actions
        kind = game.player_types
        labels = [game.action_label(c) for c in range(game.n_columns)]
        types = game.types or range(game.n_types)
        rows.writerow(("player", "type", "action"))
        columns = (game.offsets[kind] + actions).tolist()
        rows.writerows((i, types[t], labels[c]) for i, (t, c) in enumerate(zip(kind.tolist(), columns, strict=True)))

    def __str__(self) -> str:
        counts, seconds = self.found.counts, self.seconds
        set_of = self.family.tolerance.selects_over(self.game)
        lines = [
            (f"{self.game.name}   {describe(self.game)}", f"AggregativeNash, {self.solver}, seed {self.seed}"),
            (
                _field("Nash gap", f"{self.gap.upper:.4g}", "exact, over all deviations"),
                f"worst: {self.gap.witness or 'nobody gains'}",
            ),
        ]
        for bound in self.bounds:
            value = "none" if bound.value is None else f"{bound.value:.4g}"
            lines.append((_field("bound", value, bound.name if bound.value is not None else str(bound)), ""))
        lines += [
            (_field("welfare", f"{self.welfare:,.6g}", f"at most {self.found.bound:,.6g} over {set_of}"), ""),
            (_field("aggregator", ", ".join(f"{one:.4g}" for one in self.aggregator), ""), ""),
            (
                _field("programs", f"{counts.programs} solved", f"of {self.family.size:,} cells; {counts.blocks:,} blocks tested"),
                f"{sum(seconds.values()):.2f} s  ({', '.join(f'{phase} {s:.2f}' for phase, s in seconds.items())})",
            ),
            (f"  {self.status}", ""),
        ]
        width = max(len(left) for left, right in lines if right) + 3
        return "\n".join(f"{left:<{width}}{right}".rstrip() for left, right in lines)


def _field(name: str, value: str, comment: str) -> str:
    return f"  {name:<12} {value:<14} {comment}".rstrip()
