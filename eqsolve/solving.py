"""``eqsolve.solve``: a game and the algorithm that is its default."""

from __future__ import annotations

from typing import Any

from eqsolve.aggregative import AggregativeGame, AggregativeNash, Equilibrium
from eqsolve.aggregative.sweep import Progress
from eqsolve.backends import Limits
from eqsolve.errors import InvalidData


def solve(
    game: AggregativeGame,
    algorithm: AggregativeNash | None = None,
    *,
    backend: str = "auto",
    seed: int = 0,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Equilibrium:
    """Solve a game and certify the answer.

    Parameters
    ----------
    algorithm : the default of the game when left out: ``AggregativeNash()`` for an ``AggregativeGame``.
    backend : answers the programs; ``auto`` picks one by their kind.
    seed : of everything random; the same seed gives the same answer.
    limits : a budget. What was reached when it ends is returned, and its ``status`` says so.

    Raises
    ------
    InvalidData : the game is of a type that has no default algorithm.

    Examples
    --------
    >>> from eqsolve.aggregative import congestion
    >>> result = solve(congestion(players=60))
    >>> result.status, result.gap.upper <= result.bounds[0].value
    ('converged', True)
    """
    return (algorithm or default_algorithm(game)).solve(game, backend=backend, seed=seed, limits=limits, progress=progress)


def default_algorithm(game: Any) -> AggregativeNash:
    """The algorithm that ``solve`` takes for a game when none is given."""
    if isinstance(game, AggregativeGame):
        return AggregativeNash()
    raise InvalidData(f"a {type(game).__name__} has no default algorithm", "Give an AggregativeGame.")
