"""Games and algorithms that the tests of the alternation share."""

from __future__ import annotations

import numpy as np

import eqsolve
from eqsolve.backends import Limits
from eqsolve.driver.pack import to_bytes
from eqsolve.driver.system import register
from eqsolve.mean_field import GlobalLocalGame
from eqsolve.mean_field.alternating_marl import AlternatingMARL
from eqsolve.mean_field.learning.stepping import run_alone
from eqsolve.mean_field.system import MEAN_FIELD

register(MEAN_FIELD)


def trap(n: int = 2) -> GlobalLocalGame:
    """Everybody meets in zone 0 or in zone 1; zone 1 pays more to those who meet there, and costs those who miss it.

    Against agents who go anywhere zone 0 is the better choice, and then the agents go there: alternation from the uniform policy
    stops at 2 per step where there are 3.
    """
    kernel = np.zeros((2, 2, 2))
    kernel[:, 0, 0] = kernel[:, 1, 1] = 1.0
    local = np.full((2, 2, 2, 2), 0.05)
    local[:, :, 0, 0] = local[:, :, 1, 1] = 0.95
    paid = np.zeros((2, 2, 2))
    paid[0, 0], paid[1, 1], paid[0, 1] = 2.0, 3.0, -2.0
    return GlobalLocalGame(kernel, local, np.zeros((2, 2)), paid, n=n, gamma=0.8, name="trap")


def solved(game: GlobalLocalGame, *arguments, seed: int = 0, limits: Limits | None = None, **options):
    """The result of an alternation with these parameters."""
    run = {key: options.pop(key) for key in ("checkpoint", "progress") if key in options}
    return eqsolve.solve(game, AlternatingMARL(*arguments, **options), seed=seed, limits=limits, **run)


def uncertified(game: GlobalLocalGame, *arguments, **options):
    """The policy and the history of an alternation that nobody certifies."""
    algorithm = AlternatingMARL(*arguments, **options)
    state, _, history = run_alone(algorithm, game)
    return algorithm.finish(game, state, None), history


def answer(result) -> tuple[bytes, bytes]:
    """All bytes of a result."""
    return to_bytes(result.state), to_bytes(result.policy)
