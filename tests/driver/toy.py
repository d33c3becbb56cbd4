"""A game of one number and an algorithm that walks towards it with random steps: small, and with every feature of the driver."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from time import sleep
from typing import ClassVar

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.certificates import GapCertificate, Witness
from eqsolve.driver import Algorithm, NothingReached, Status, System, register

opened: list[str] = []
"""What ``Run.keep`` opened and closed, in order."""


@dataclass(frozen=True, eq=False)
class Target:
    """Find a vector."""

    goal: FloatArray
    name: str = "target"


@dataclass(frozen=True, eq=False)
class Guess:
    x: FloatArray


@dataclass(frozen=True, eq=False)
class WalkState:
    x: FloatArray
    best: float


@contextmanager
def session():
    opened.append("open")
    yield {"steps": 0}
    opened.append("close")


@dataclass(frozen=True)
class Walk(Algorithm[Target, WalkState, Guess]):
    """Keep a random step when it leads closer; within a period the steps shrink, as a warm start would make them."""

    tolerance: float = 1e-2
    wait: float = 0.0
    objects: bool = False
    period: ClassVar[int] = 4

    def init(self, game, run):
        return WalkState(np.zeros_like(game.goal), float(np.abs(game.goal).max()))

    def step(self, game, state, run):
        warm = run.keep("session", session)
        warm["steps"] += 1
        sleep(self.wait)
        x = state.x + run.rng().normal(0, max(state.best, 1e-3) / warm["steps"], state.x.shape)
        away = float(np.abs(x - game.goal).max())
        state = WalkState(x, away) if away < state.best else state
        return state, {"distance": state.best, "tried": away, "warm": warm["steps"]}

    def done(self, game, state):
        return Status.CONVERGED if state.best <= self.tolerance else None

    def finish(self, game, state, run):
        if not state.x.any():
            raise NothingReached("no step led anywhere yet", "Give more iterations.")
        return Guess(state.x)

    def objection(self, result):
        return "it objects" if self.objects else ""


def certify(game: Target, policy: Guess) -> GapCertificate:
    away = np.abs(game.goal - policy.x)
    gap = float(away.max())
    return GapCertificate("optimality", gap, gap, "exact", Witness(f"coordinate {int(away.argmax())}", "move", gap))


TOY = register(
    System("toy", Target, (Walk,), lambda game: f"{game.goal.size} coordinates", certify, lambda g, p: -certify(g, p).upper)
)
