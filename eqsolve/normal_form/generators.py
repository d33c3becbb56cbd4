"""Standard games: the textbook ones with their published numbers, and random families by seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, float_array, int_array, real_number, whole_number
from eqsolve.errors import InvalidData, InvalidGame
from eqsolve.normal_form.game import NormalFormGame, check_size
from eqsolve.normal_form.polymatrix import PolymatrixGame


def _bimatrix(name: str, row: npt.ArrayLike, column: npt.ArrayLike, *actions: Sequence[str]) -> NormalFormGame:
    labels = tuple(tuple(one) for one in (actions * 2 if len(actions) == 1 else actions))
    return NormalFormGame.from_arrays(row, column, players=("row", "column"), actions=labels, name=name)


def prisoners_dilemma() -> NormalFormGame:
    """Payoffs 3 for mutual cooperation, 1 for mutual defection, 5 and 0. Defection is dominant: the only correlated equilibrium."""
    return _bimatrix("prisoner's dilemma", [[3, 0], [5, 1]], [[3, 5], [0, 1]], ("cooperate", "defect"))


def battle_of_sexes() -> NormalFormGame:
    """(2, 1) together at the opera, (1, 2) together at the fight, 0 apart (Luce and Raiffa 1957, section 5.3)."""
    return _bimatrix("battle of the sexes", [[2, 0], [0, 1]], [[1, 0], [0, 2]], ("opera", "fight"))


def matching_pennies() -> NormalFormGame:
    """Zero-sum; value 0, and the uniform distribution is the only correlated equilibrium."""
    return _bimatrix("matching pennies", [[1, -1], [-1, 1]], [[-1, 1], [1, -1]], ("heads", "tails"))


def chicken() -> NormalFormGame:
    """The game of Aumann (1987, *Correlated equilibrium as an expression of Bayesian rationality*, figure 1; 1974).

    (6, 6), (2, 7), (7, 2), (0, 0): a lottery with 1/3 on each of the first three gives 5 to each player; the welfare-best
    correlated equilibrium puts 1/2, 1/4, 1/4 on them and gives 5.25 to each, outside the convex hull of the Nash payoffs.
    """
    return _bimatrix("chicken", [[6, 2], [7, 0]], [[6, 7], [2, 0]], ("yield", "dare"))


def rock_paper_scissors() -> NormalFormGame:
    """Zero-sum; value 0, and the uniform distribution is the only correlated equilibrium."""
    beats = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    return _bimatrix("rock, paper, scissors", beats, -beats, ("rock", "paper", "scissors"))


def stag_hunt() -> NormalFormGame:
    """(4, 4) for two stags, (3, 3) for two hares, 0 and 3 otherwise; both pure profiles on the diagonal are equilibria."""
    return _bimatrix("stag hunt", [[4, 0], [3, 3]], [[4, 3], [0, 3]], ("stag", "hare"))


def shapley() -> NormalFormGame:
    """The 3 x 3 game of Shapley (1964) on which fictitious play cycles; no pure equilibrium.

    1/6 on each of the six profiles with payoffs (1, 0) or (0, 1) is a correlated equilibrium of welfare 1, against 2/3 at the only
    Nash equilibrium.
    """
    return _bimatrix("Shapley's game", [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 1, 0], [0, 0, 1], [1, 0, 0]], ("a", "b", "c"))


def random_game(
    n_actions: npt.ArrayLike, *, seed: int | np.random.Generator = 0, correlation: float | None = None
) -> NormalFormGame:
    """A game with independent random payoffs per profile.

    Parameters
    ----------
    n_actions : (N,) numbers of actions.
    correlation : None for uniform payoffs in [0, 1]; otherwise standard normal payoffs whose correlation between any two players is
        this, in [-1 / (N - 1), 1]: 1 is a common-interest game, the least value a constant-sum game (GAMUT's covariant games).

    Raises
    ------
    InvalidData : a count below 1 or a correlation that N players cannot have.
    """
    counts = _counts(n_actions)
    rng = np.random.default_rng(seed)
    n = len(counts)
    check_size(counts)
    if correlation is None:
        return NormalFormGame(rng.random((n, *counts)), name="random game")
    least = -1.0 / (n - 1) if n > 1 else 0.0
    rho = real_number("correlation", correlation)
    if not least - 1e-12 <= rho <= 1.0:
        raise InvalidData(f"correlation is {rho:g}; {n} players can have one in [{least:.6g}, 1]")
    values, vectors = np.linalg.eigh((1.0 - rho) * np.eye(n) + rho * np.ones((n, n)))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return NormalFormGame(np.tensordot(root, rng.standard_normal((n, *counts)), axes=1), name=f"covariant game, {rho:g}")


def congestion_game(
    players: int, roads: int, *, delay: npt.ArrayLike | None = None, seed: int | np.random.Generator = 0
) -> NormalFormGame:
    """Rosenthal's congestion game on parallel roads: all players choose one road, and the payoff is minus its delay.

    Parameters
    ----------
    delay : (roads, players) the delay of each road under 1, 2, ... players; random non-decreasing ones when left out.

    Raises
    ------
    InvalidData : fewer than one player or road, delays of another shape or not finite.
    """
    n, m = whole_number("players", players, 1), whole_number("roads", roads, 1)
    check_size((m,) * n)
    given = np.cumsum(np.random.default_rng(seed).random((m, n)), axis=1) if delay is None else delay
    table = float_array("delay", given, (m, n))
    choices = np.indices((m,) * n).reshape(n, -1)
    load = np.stack([(choices == road).sum(axis=0) for road in range(m)])
    cost = table[choices, np.take_along_axis(load, choices, axis=0) - 1]
    names = tuple(f"road {j}" for j in range(m))
    return NormalFormGame(-cost.reshape(n, *(m,) * n), actions=names, name="congestion game")


def random_polymatrix(
    n_actions: npt.ArrayLike, *, degree: int | None = None, seed: int | np.random.Generator = 0
) -> PolymatrixGame:
    """A polymatrix game with uniform payoffs in [0, 1] on the edges of a circulant graph.

    Parameters
    ----------
    degree : neighbours on each side of a player on the circle; everybody is a neighbour when left out.

    Raises
    ------
    InvalidData : a count below 1, a negative degree.
    """
    counts = _counts(n_actions)
    rng = np.random.default_rng(seed)
    n = len(counts)
    reach = n if degree is None else whole_number("degree", degree, 0)
    pairs: dict[tuple[int, int], FloatArray] = {}
    for i in range(n):
        for j in range(n):
            if i != j and min((i - j) % n, (j - i) % n) <= reach:
                pairs[i, j] = rng.random((counts[i], counts[j]))
    return PolymatrixGame(counts, pairs, name="random polymatrix game")


def _counts(n_actions: npt.ArrayLike) -> tuple[int, ...]:
    given = np.atleast_1d(int_array("n_actions", n_actions, error=InvalidGame)).tolist()
    counts = tuple(whole_number(f"n_actions[{i}]", one, 1, InvalidGame) for i, one in enumerate(given))
    if not counts:
        raise InvalidGame("n_actions is empty: there are no players")
    return counts


TEXTBOOK = {
    "prisoners_dilemma": prisoners_dilemma,
    "battle_of_sexes": battle_of_sexes,
    "matching_pennies": matching_pennies,
    "chicken": chicken,
    "rock_paper_scissors": rock_paper_scissors,
    "stag_hunt": stag_hunt,
    "shapley": shapley,
}
"""The textbook games by name."""
