"""Exact pure Nash equilibria of best welfare: by integer programs, and by enumeration of all profiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from eqsolve.arrays import BoolArray, FloatArray, IntArray, frozen, real_number, whole_number
from eqsolve.backends import Limits, Outcome, Termination, get_backend, solve_program
from eqsolve.backends.base import Backend, Options
from eqsolve.certificates import GapCertificate
from eqsolve.errors import BackendFailure, InvalidData, unknown
from eqsolve.normal_form.game import NormalFormGame
from eqsolve.normal_form.polymatrix import PolymatrixGame
from eqsolve.normal_form.programs import check_sense, correlated_program, objective_weights, payoff_units, units
from eqsolve.normal_form.programs import largest_gains as table_gains
from eqsolve.normal_form.regret import nash_gap, pure_gains
from eqsolve.normal_form.solved import Solved
from eqsolve.programs import Block, Program, ProgramBuilder, StructureAnswer
from eqsolve.programs.program import Sense

ROUNDING = 1e-12
"""Gains this small, relative to the two payoffs that are compared, are ties."""
TOLERANCE = 1e-6
"""Gap of an equilibrium, relative to the most that one change of action can gain, that solvers may leave."""


@dataclass(frozen=True, eq=False)
class PureNash(Solved):
    """The answer to the question for a pure Nash equilibrium.

    Parameters
    ----------
    profile : (N,) action numbers, or None where there is no such equilibrium, or none was found within the limits.
    value : the objective at ``profile``.
    gap : the exact Nash gap of ``profile``.
    reason : why there is no profile; empty when there is one.
    outcome : what the backend answered.
    """

    profile: IntArray | None
    value: float | None
    gap: GapCertificate | None
    reason: str
    outcome: Outcome
    _program: Program = field(repr=False)

    @property
    def exists(self) -> bool | None:
        """Whether there is one; None when the limits ended the search before it was known."""
        if self.profile is not None:
            return True
        return False if self.outcome.termination is Termination.INFEASIBLE else None


@dataclass(frozen=True, slots=True, eq=False)
class Enumeration:
    """Looks at every profile of a normal-form game: O(profiles x players)."""

    game: NormalFormGame
    epsilon: float

    @property
    def name(self) -> str:
        """The form, for tables."""
        return "enumeration of pure profiles"

    def refuses(self, program: Program) -> str | None:
        """Why this program is beyond the method: its bounds were changed by hand."""
        made = _profile_bounds(program, self.game, self.epsilon)
        given = (program.row_lower, program.row_upper, program.col_lower, program.col_upper)
        same = all(np.array_equal(one, other) for one, other in zip(given, made, strict=True))
        return None if same else "its bounds are not those of the game"

    def solve(self, program: Program) -> StructureAnswer:
        """The first of the best equilibria, in the order of profiles."""
        stable = pure_nash_mask(self.game, self.epsilon).reshape(-1)
        if not stable.any():
            return StructureAnswer("infeasible")
        P = self.game.n_profiles
        sign = 1.0 if program.sense == "max" else -1.0
        k = int(np.argmax(np.where(stable, sign * program.c[:P], -np.inf)))
        x = np.zeros(program.n_columns)
        x[k] = 1.0
        first = np.concatenate(([0], np.cumsum(self.game.shape)[:-1]))
        x[P + first + np.asarray(np.unravel_index(k, self.game.shape))] = 1.0
        return StructureAnswer("optimal", x, bound=float(program.c @ x) + program.offset)


def pure_nash_mask(game: NormalFormGame, epsilon: float = 0.0) -> BoolArray:
    """(m_1, ..., m_N) whether nobody gains more than epsilon (and rounding) by leaving a profile."""
    gains = pure_gains(game)
    size = np.maximum(np.abs(game.payoffs), np.abs(game.payoffs + gains))
    return np.asarray((gains <= epsilon + ROUNDING * size).all(axis=0))


def pure_nash_program(
    game: NormalFormGame | PolymatrixGame, objective: Any = "welfare", *, sense: Sense = "max", epsilon: float = 0.0
) -> Program:
    r"""The integer program of the best pure Nash equilibrium.

    A table of payoffs: the program of correlated equilibria with marginals that are whole,

    .. math:: \sum_{a : a_i = k} q(a) = x_{ik} \in \{0, 1\} \quad \forall i, k ,

    so that only the x are integer columns, as many as there are actions, and the relaxation is the best correlated equilibrium. A
    polymatrix game, of as many players as one likes: with :math:`v_{ib}(x) = b_i(b) + \sum_j U_{ij}(b, \cdot) x_j`,

    .. math:: \max \sum_i r_i \quad \text{s.t.} \quad
              v_{ib}(x) \le r_i \le v_{ib}(x) + M_{ib} (1 - x_{ib}), \qquad \sum_b x_{ib} = 1, \quad x_{ib} \in \{0, 1\}

    where :math:`M_{ib}` is the most that b can fall short of another action of player i. Rows and r of a player are in the unit
    of ``units`` (the largest M).

    Parameters
    ----------
    objective : as in ``correlated_program`` without entropy and Gini; for a polymatrix game ``"welfare"`` or ``("player", i)``.
    epsilon : what a player may gain by leaving, in reward units, >= 0; 0 for a polymatrix game.

    Raises
    ------
    UnknownName, InvalidData : see ``correlated_program``.
    """
    slack = real_number("epsilon", epsilon, least=0.0)
    check_sense(sense)
    if isinstance(game, PolymatrixGame):
        if slack:
            raise InvalidData(
                f"epsilon is {slack:g}", "For a polymatrix game it is 0; the table of game.normal_form() takes others."
            )
        return _polymatrix_program(game, objective, sense)
    weights = objective_weights(game, objective)
    if weights is None:
        raise InvalidData(f"{objective!r} says nothing about pure profiles", "Give a linear objective.")
    base = correlated_program(game, "CE", weights, sense=sense)
    P, m = game.n_profiles, sum(game.shape)
    counts = np.asarray(game.shape)
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    row = (first[:, None] + np.stack(np.unravel_index(np.arange(P), game.shape))).T.reshape(-1)
    marginal = sparse.csc_array(
        (np.ones(len(row)), row.astype(np.int32), np.arange(P + 1, dtype=np.int32) * len(counts)), shape=(m, P)
    )
    A = sparse.block_array([[base.A, None], [marginal, -sparse.eye_array(m)]], format="csc")
    labels = (game.players or None, game.actions[0] if len(set(game.actions)) == 1 else None)
    return Program(
        name="pure Nash equilibrium",
        sense=sense,
        c=np.concatenate((base.c, np.zeros(m))),
        A=A,
        row_lower=np.concatenate((base.row_lower, np.zeros(m))),
        row_upper=np.concatenate((_slack_rows(game, slack), [1.0], np.zeros(m))),
        col_lower=np.zeros(P + m),
        col_upper=np.ones(P + m),
        integrality=np.arange(P + m) >= P,
        columns=(*base.columns, Block("x", ("player", "action"), P, None, counts, labels)),
        rows=(*base.rows, Block("marginal", ("player", "action"), base.n_rows, None, counts, labels)),
        structure=Enumeration(game, slack),
        note=game.name,
    )


def pure_nash(
    game: NormalFormGame | PolymatrixGame,
    objective: Any = "welfare",
    *,
    sense: Sense = "max",
    epsilon: float = 0.0,
    backend: str | Backend = "auto",
    limits: Limits | None = None,
    options: Options | None = None,
) -> PureNash:
    """The best exact pure Nash equilibrium, or the reason why there is none; see ``pure_nash_program``.

    Parameters
    ----------
    backend : ``"auto"`` enumerates a table of payoffs and sends a polymatrix game to HiGHS.
    limits, options : as in ``solve_program``.

    Raises
    ------
    UnknownName, InvalidData : see ``pure_nash_program``.
    BackendFailure : the backend ended neither with a profile nor with a reason, or its verdict contradicts the payoffs.

    Examples
    --------
    >>> from eqsolve.normal_form import matching_pennies, stag_hunt
    >>> pure_nash(stag_hunt()).profile
    array([0, 0])
    >>> print(pure_nash(matching_pennies()).reason)
    there is no pure Nash equilibrium: at each of the 4 profiles somebody gains 2 or more by leaving
    """
    program = pure_nash_program(game, objective, sense=sense, epsilon=epsilon)
    if backend == "auto" and program.structure is not None and program.structure.refuses(program) is None:
        # Enumeration settles it; solve_program would go on to look for a Farkas ray, which no such program has.
        with get_backend("native").open(program, options) as session:
            outcome = session.solve(limits)
    else:
        outcome = solve_program(program, backend, limits=limits, options=options)
    if outcome.x is None:
        return PureNash(None, None, None, why_none(game, epsilon, outcome), outcome, program)
    profile = profile_of(game, outcome)
    gap = nash_gap(game, profile)
    if gap.upper > epsilon + TOLERANCE * float(largest_gains(game).max()):
        raise BackendFailure(
            f"backend {outcome.backend!r} took {profile.tolist()} for an equilibrium, and there {gap}", "Try another backend."
        )
    return PureNash(profile, _value(game, objective, profile), gap, "", outcome, program)


def profile_of(game: NormalFormGame | PolymatrixGame, outcome: Outcome) -> IntArray:
    """(N,) the action numbers in a backend's point."""
    assert outcome.x is not None
    counts = np.asarray(game.shape) if isinstance(game, NormalFormGame) else game.n_actions
    x = outcome.x[game.n_profiles :] if isinstance(game, NormalFormGame) else outcome.x[: int(counts.sum())]
    ends = np.cumsum(counts)
    return frozen(np.array([int(np.argmax(x[end - m : end])) for m, end in zip(counts.tolist(), ends.tolist(), strict=True)]))


def why_none(game: NormalFormGame | PolymatrixGame, epsilon: float, outcome: Outcome) -> str:
    """Why an outcome without a point has none.

    Raises
    ------
    BackendFailure : the backend settled nothing, or its verdict contradicts the payoffs.
    """
    if outcome.termination in (Termination.TIME_LIMIT, Termination.ITERATION_LIMIT, Termination.INTERRUPTED):
        return f"none was found: {outcome.termination.value}"
    if outcome.termination not in (Termination.INFEASIBLE, Termination.INFEASIBLE_OR_UNBOUNDED):
        said = "; ".join((outcome.termination.value, *outcome.notes))
        raise BackendFailure(f"backend {outcome.backend!r} did not settle it: {said}", "Try another backend.")
    if isinstance(game, PolymatrixGame):
        return f"there is no pure Nash equilibrium, says {outcome.backend}: the integer program is infeasible"
    least = float(pure_gains(game).max(axis=0).min())
    if least <= epsilon:
        raise BackendFailure(
            f"backend {outcome.backend!r} says that there is no pure equilibrium, but the payoffs have one", "Try backend='native'."
        )
    kind = "pure Nash equilibrium" if not epsilon else f"pure {epsilon:g}-equilibrium"
    return f"there is no {kind}: at each of the {game.n_profiles:,} profiles somebody gains {least:.6g} or more by leaving"


def _value(game: NormalFormGame | PolymatrixGame, objective: Any, profile: IntArray) -> float:
    if isinstance(game, NormalFormGame):
        weights = objective_weights(game, objective)
        assert weights is not None
        return float(weights[np.ravel_multi_index(tuple(profile), game.shape)])
    earned = [float(values[profile[i]]) for i, values in enumerate(game.action_payoffs(profile))]
    return sum(earned) if objective == "welfare" else earned[objective[1]]


def _slack_rows(game: NormalFormGame, epsilon: float) -> FloatArray:
    return np.repeat(epsilon / payoff_units(game), np.square(game.shape))


def _profile_bounds(program: Program, game: NormalFormGame, epsilon: float) -> tuple[FloatArray, ...]:
    m = sum(game.shape)
    rows = program.n_rows - m - 1
    upper = np.concatenate((_slack_rows(game, epsilon), [1.0], np.zeros(m)))
    lower = np.concatenate((np.full(rows, -np.inf), [1.0], np.zeros(m)))
    return lower, upper, np.zeros(program.n_columns), np.ones(program.n_columns)


def _polymatrix_program(game: PolymatrixGame, objective: Any, sense: Sense) -> Program:
    n, counts = game.n_players, game.n_actions
    if isinstance(objective, str) and objective == "welfare":
        weights = np.ones(n)
    elif isinstance(objective, tuple) and len(objective) == 2 and objective[0] == "player":
        weights = np.eye(n)[whole_number("player of the objective", objective[1], 0, most=n - 1)]
    else:
        raise unknown("objective", objective, ("welfare", "('player', i)"))
    first = np.concatenate(([0], np.cumsum(counts)))
    total, owner = int(first[-1]), np.repeat(np.arange(n), counts)
    low, high, short = _ranges(game)
    unit = units(largest_gains(game))
    each = unit[owner]
    b = ProgramBuilder("pure Nash equilibrium of a polymatrix game", sense)
    x = b.columns("x", counts=counts, axes=("player", "action"), upper=1.0, integer=True)
    r = b.columns("r", (n,), axes=("player",), lower=low / unit, upper=high / unit)
    own = np.concatenate(game.own) / each
    one = b.rows("one_action", (n,), axes=("player",), lower=1.0, upper=1.0)
    best = b.rows("best", counts=counts, axes=("player", "action"), lower=own)
    played = b.rows("played", counts=counts, axes=("player", "action"), upper=own + short / each)
    k = np.arange(total)
    b.add(one, x, owner, k)
    for rows in (best, played):
        b.add(rows, r, k, owner)
        for (i, j), table in game.pairs.items():
            row, column = np.indices(table.shape).reshape(2, -1)
            b.add(rows, x, first[i] + row, first[j] + column, -table.reshape(-1) / unit[i])
    b.add(played, x, k, k, short / each)
    b.objective(r, weights * unit)
    return b.build(note=game.name)


def largest_gains(game: NormalFormGame | PolymatrixGame) -> FloatArray:
    """(N,) the most that each player gains by one change of action, over all profiles."""
    if isinstance(game, NormalFormGame):
        return table_gains(game)
    return np.maximum.reduceat(_ranges(game)[2], np.cumsum(game.n_actions) - game.n_actions)


def _ranges(game: PolymatrixGame) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Least and largest best payoff (N,) of each player, and per action what it can fall short of another one by."""
    low, high, short = [], [], []
    for i, own in enumerate(game.own):
        tables = [table for (owner, _), table in game.pairs.items() if owner == i]
        least = own + sum((t.min(axis=1) for t in tables), np.zeros(len(own)))
        most = own + sum((t.max(axis=1) for t in tables), np.zeros(len(own)))
        difference = own[None, :] - own[:, None]
        for t in tables:
            difference = difference + (t[None, :, :] - t[:, None, :]).max(axis=2)
        low.append(float(least.max()))
        high.append(float(most.max()))
        short.append(np.maximum(difference.max(axis=1), 0.0))
    return np.array(low), np.array(high), np.concatenate(short)
