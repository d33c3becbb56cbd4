"""Zero-sum games of two players: the value and optimal strategies of both from one linear program."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import FloatArray, frozen
from eqsolve.backends import Limits, Outcome, solve_program
from eqsolve.backends.base import Backend, Options
from eqsolve.certificates import GapCertificate
from eqsolve.errors import BackendFailure, InvalidGame
from eqsolve.normal_form.game import NormalFormGame, payoff_array
from eqsolve.normal_form.matrix_game import MatrixGame
from eqsolve.normal_form.regret import nash_gap
from eqsolve.normal_form.solved import Solved
from eqsolve.programs import Block, Program

CONSTANT = 1e-9
"""How far the sum of two payoffs may vary over profiles, relative to the largest payoff."""


@dataclass(frozen=True, eq=False)
class ZeroSumSolution(Solved):
    """Optimal strategies of a zero-sum game.

    Parameters
    ----------
    value : what the row player is sure of with ``row``, in the units of the row player's payoffs.
    row, column : (m,) and (n,) mixed strategies.
    gap : the exact Nash gap of the two strategies; the value of the game is at least ``value`` and at most twice the gap above.
    outcome : what the backend answered.
    """

    value: float
    row: FloatArray
    column: FloatArray
    gap: GapCertificate
    outcome: Outcome
    _program: Program = field(repr=False)


def value_program(game: NormalFormGame | npt.ArrayLike) -> Program:
    r"""The program of the value of a zero-sum game with payoffs A (m, n) to the row player.

    .. math:: \max\ v \quad \text{s.t.} \quad v \le \sum_i p_i A_{ij} \ \ \forall j, \qquad \sum_i p_i = 1, \quad p \ge 0

    The multipliers of the rows ``guarantee[action]`` are an optimal strategy of the column player.

    Raises
    ------
    InvalidGame : not a matrix of finite numbers; a game that is not of two players or not constant-sum.
    """
    A, labels = _matrix(game)
    m, n = A.shape
    dense = np.empty((n + 1, m + 1), order="F")
    dense[:n, :m] = -A.T
    dense[:n, m] = 1.0
    dense[n] = 1.0
    dense[n, m] = 0.0
    free = np.full(n, -np.inf)
    room = 1.0 + float(np.ptp(A))  # the bounds of v are never tight: a tight one would take the multipliers of the guarantees
    return Program(
        name="value of a zero-sum game",
        sense="max",
        c=np.eye(1, m + 1, m)[0],
        A=_full_csc(dense),
        row_lower=np.append(free, 1.0),
        row_upper=np.append(np.zeros(n), 1.0),
        col_lower=np.append(np.zeros(m), A.min() - room),
        col_upper=np.append(np.ones(m), A.max() + room),
        columns=(Block("p", ("action",), 0, (m,), None, labels[:1]), Block("v", (), m, ())),
        rows=(Block("guarantee", ("action",), 0, (n,), None, labels[1:]), Block("one", (), n, ())),
        structure=MatrixGame(m),
        note=game.name if isinstance(game, NormalFormGame) else "",
    )


def zero_sum(
    game: NormalFormGame | npt.ArrayLike,
    *,
    backend: str | Backend = "auto",
    limits: Limits | None = None,
    options: Options | None = None,
) -> ZeroSumSolution:
    """Solve a zero-sum (or constant-sum) game of two players.

    Parameters
    ----------
    game : a game, or the matrix (m, n) of what the row player receives and the column player pays.
    backend, limits, options : as in ``solve_program``; ``"auto"`` is the simplex method on the condensed tableau.

    Raises
    ------
    InvalidGame : see ``value_program``.
    BackendFailure : the backend returned no strategies.

    Examples
    --------
    >>> solution = zero_sum([[3.0, -1.0], [-2.0, 1.0]])
    >>> round(solution.value, 12), solution.row.round(6), solution.column.round(6)
    (0.142857142857, array([0.428571, 0.571429]), array([0.285714, 0.714286]))
    """
    A, _ = _matrix(game)
    program = value_program(game)
    outcome = solve_program(program, backend, limits=limits, options=options)
    p, q = strategies_of(A.shape, outcome)
    played = game if isinstance(game, NormalFormGame) else NormalFormGame.from_arrays(A, players=("row", "column"))
    return ZeroSumSolution(float((p @ A).min()), p, q, nash_gap(played, (p, q)), outcome, program)


def _matrix(game: NormalFormGame | npt.ArrayLike) -> tuple[FloatArray, tuple[tuple[str, ...] | None, ...]]:
    if not isinstance(game, NormalFormGame):
        A = payoff_array("payoffs", game, (None, None))
        if not A.size:
            raise InvalidGame(f"payoffs has shape {A.shape[0]} x {A.shape[1]}: both players need an action")
        return A, (None, None)
    if game.n_players != 2:
        raise InvalidGame(f"the game has {game.n_players} players; a zero-sum program is for two")
    total = game.welfare
    if np.ptp(total) > CONSTANT * float(np.abs(game.payoffs).max()):
        low, high = (tuple(map(int, np.unravel_index(int(k), game.shape))) for k in (np.argmin(total), np.argmax(total)))
        raise InvalidGame(
            f"the payoffs sum to {total[low]:g} at {game.profile_label(low)} and to {total[high]:g} at {game.profile_label(high)}",
            "This program is for constant sums; correlated_equilibrium takes every game.",
        )
    return game.payoffs[0], game.actions or (None, None)


def _full_csc(dense: FloatArray) -> sparse.csc_array:
    """A matrix in CSC form; written without looking for zeros where there are hardly any."""
    rows, columns = dense.shape
    if np.count_nonzero(dense) < 0.9 * dense.size:
        return sparse.csc_array(dense)
    matrix = sparse.csc_array(
        (
            dense.reshape(-1, order="F"),
            np.tile(np.arange(rows, dtype=np.int32), columns),
            np.arange(columns + 1, dtype=np.int32) * rows,
        ),
        shape=dense.shape,
    )
    matrix.eliminate_zeros()
    for part in (matrix.data, matrix.indices, matrix.indptr):
        part.setflags(write=False)
    return matrix


def strategies_of(shape: tuple[int, ...], outcome: Outcome) -> tuple[FloatArray, FloatArray]:
    """The strategies (m,) and (n,) of both players: the point of ``value_program`` and its multipliers.

    Raises
    ------
    BackendFailure : the backend returned no strategies.
    """
    x, y = (np.zeros(side) if given is None else given[:side] for side, given in zip(shape, (outcome.x, outcome.y), strict=True))
    p, q = np.maximum(x, 0.0), np.maximum(y, 0.0)
    if not (p.any() and q.any()):
        said = "; ".join((outcome.termination.value, *outcome.notes))
        raise BackendFailure(
            f"backend {outcome.backend!r} returned no strategies: {said}", "Try another backend or a larger limit."
        )
    return frozen(p / p.sum()), frozen(q / q.sum())
