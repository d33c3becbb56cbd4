"""The integer programs whose points are the pure Nash equilibria of an aggregative game."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from eqsolve.aggregative.enumeration import MOST_PROFILES, Moves, attainable, best_equilibrium, count_profiles, replies_at
from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.payoffs import AffinePayoffs
from eqsolve.arrays import BoolArray, FloatArray, IntArray
from eqsolve.errors import InvalidData, unknown
from eqsolve.programs import Block, Program, ProgramBuilder, StructureAnswer

Form = Literal["auto", "indicator", "aggregators"]
FORMS = ("auto", "indicator", "aggregators")
MOST_AGGREGATORS = 20_000
"""Attainable aggregators that the form ``aggregators`` has columns for."""
MOST_CONDITIONS = 20_000
"""Changes of action that the form ``indicator`` has rows for."""
NEVER = 1e-12
"""Rounding of a payoff difference, relative to the sizes that it is made of, below which an action is not ruled out."""


@dataclass(frozen=True, slots=True, eq=False)
class EveryProfile:
    """Looks at every pure profile of a game with equal players merged: O(profiles x changes of action)."""

    game: AggregativeGame

    @property
    def name(self) -> str:
        """The form, for tables."""
        return "enumeration of pure profiles"

    def refuses(self, program: Program) -> str | None:
        """Why a program is beyond the method: profiles were cut off, bounds changed by hand, or there are too many profiles."""
        if any(block.name == "cut" for block in program.rows):
            return "profiles were cut off"
        p, N = program.column_block("p"), self.game.n_columns
        total = program.row_lower[: self.game.n_types]
        if p.size != N or (total != self.game.players).any() or (program.row_upper[: self.game.n_types] != total).any():
            return "its bounds are not those of the game"
        if count_profiles(self.game) > MOST_PROFILES:
            return f"there are {count_profiles(self.game):,} profiles; at most {MOST_PROFILES:,} are looked at one by one"
        return None

    def solve(self, program: Program) -> StructureAnswer:
        """The first of the best equilibria, in the order of profiles."""
        plays, _ = best_equilibrium(self.game)
        if plays is None:
            return StructureAnswer("infeasible")
        x = point_of(program, self.game, plays)
        return StructureAnswer("optimal", x, bound=float(program.c @ x) + program.offset)


def exact_program(game: AggregativeGame, form: Form = "auto", excluded: IntArray | None = None) -> Program:
    r"""The integer program of the pure Nash equilibrium of best welfare; ``p[type, action]`` counts players.

    ``indicator``, for affine payoffs :math:`u_c(x) = b_c + s_c \cdot x`:

    .. math:: \max\ \sum_{t,j} w_{tj} p_{tj} \quad \text{s.t.} \quad \sum_j p_{tj} = N_t, \qquad x = \sum_{t,j} g_{tj} p_{tj},
              \qquad p_{tj} \le N_t\, y_{tj}, \qquad
              u_{tl}(x + g_{tl} - g_{tj}) - u_{tj}(x) \le M_{tjl} (1 - y_{tj})

    for all actions l of the type, with whole p and y in {0, 1}; where a type has one player, y is p itself. :math:`M_{tjl}` is
    the largest left-hand side over all profiles in which nobody of the type plays j, computed per type. Actions that nobody
    plays in an equilibrium, because the least left-hand side is positive, are fixed at 0, again and again until none is left.

    ``aggregators``, for payoffs of any family: :math:`z_a` picks one of the attainable aggregators :math:`X_a`,

    .. math:: \sum_a z_a = 1, \qquad \sum_{t,j} g_{tj} p_{tj} = \sum_a X_a z_a, \qquad
              p_{tj} \le N_t \sum_{a : j \text{ is a best reply at } X_a} z_a .

    Aggregators from which somebody gains whatever is played are left out.

    Parameters
    ----------
    game : with equal players merged, ``game.merged()``.
    form : ``auto`` takes ``indicator`` for affine payoffs.
    excluded : (E, N) profiles that are cut off.

    Raises
    ------
    InvalidData : the game is too large, or its payoffs are not affine for ``indicator``; UnknownName : no such form.
    """
    if form not in FORMS:
        raise unknown("form", form, FORMS)
    affine = isinstance(game.payoff, AffinePayoffs)
    if form == "indicator" and not affine:
        raise InvalidData(
            f"form 'indicator' needs affine payoffs; these are {type(game.payoff).__name__}", "Use form 'aggregators'."
        )
    chosen = "indicator" if form != "aggregators" and affine else "aggregators"
    unit = np.where(game.magnitude > 0, np.maximum(np.abs(game.contribution).max(axis=0), 1e-300), 1.0)
    builder = ProgramBuilder("exact pure Nash equilibrium", sense="max")
    if chosen == "indicator":
        conditions = _Conditions.of(game)
        p = _profile(builder, game, conditions.allowed)
        _indicators(builder, game, p, conditions, unit)
        note = f"{len(conditions.size):,} conditions, {int((~conditions.allowed).sum()):,} actions that no equilibrium uses"
    else:
        x, replies = _candidates(game)
        p = _profile(builder, game, np.asarray(replies.any(axis=0)))
        _choices(builder, game, p, x, replies, unit)
        note = f"{len(x):,} aggregators at which an equilibrium may be"
    if excluded is not None and len(excluded):
        _cut_off(builder, game, p, excluded)
    builder.objective(p, game.weights)
    return builder.build(structure=EveryProfile(game), note=note)


def plays_of(program: Program, game: AggregativeGame, x: FloatArray) -> IntArray:
    """(N,) players per column in a point of the program."""
    return game.check_plays(np.round(x[program.column_block("p").slice]).astype(np.int64))


def point_of(program: Program, game: AggregativeGame, plays: IntArray) -> FloatArray:
    """The point of a program without cuts that stands for a profile (N,)."""
    point = np.zeros(program.n_columns)
    point[program.column_block("p").slice] = plays
    names = {block.name: block for block in program.columns}
    if "used" in names:
        many = np.flatnonzero(game.players[game.owner] > 1)
        point[names["used"].slice] = plays[many] > 0
    aggregator = program.row_block("aggregator")
    rest = program.A[aggregator.slice] @ point
    if "x" in names:
        point[names["x"].slice] = rest
    else:
        z = names["z"]
        candidates = -program.A[aggregator.slice, z.slice].toarray().T
        point[z.start + int(np.argmin(np.abs(candidates - rest).max(axis=1)))] = 1.0
    return point


@dataclass(frozen=True, slots=True, eq=False)
class _Conditions:
    """The conditions c + a.x <= big (1 - y_source) that are left, each divided by ``size``; and the actions that may be used."""

    source: IntArray
    target: IntArray
    constant: FloatArray
    slope: FloatArray
    big: FloatArray
    size: FloatArray
    allowed: BoolArray

    @staticmethod
    def of(game: AggregativeGame) -> _Conditions:
        """Largest and least left-hand sides by sums over the types; actions whose least one is positive are ruled out."""
        assert isinstance(game.payoff, AffinePayoffs)
        moves = Moves.of(game)
        source, target = moves.source, moves.target
        if len(source) > MOST_CONDITIONS:
            raise _too_large(game, f"{len(source):,} changes of action; at most {MOST_CONDITIONS:,} become rows")
        base, slope = game.payoff.base, game.payoff.slope
        a = slope[target] - slope[source]
        c = base[target] - base[source] + np.einsum("kd,kd->k", slope[target], moves.shift)
        rounding = NEVER * (
            np.abs(base[target]) + np.abs(base[source]) + (np.abs(slope[target]) + np.abs(slope[source])) @ game.magnitude
        )
        allowed = np.ones(game.n_columns, dtype=bool)
        while True:
            least, most, unused = _extremes(game, a, c, source, allowed)
            ruled_out = np.unique(source[(least > rounding) & allowed[source]])
            if not len(ruled_out):
                break
            allowed[ruled_out] = False
        keep = (most > rounding) & allowed[source]
        big = np.maximum(unused, 0.0)[keep]
        size = np.maximum(most[keep], big)
        return _Conditions(source[keep], target[keep], c[keep], a[keep], big, size, allowed)


def _extremes(
    game: AggregativeGame, a: FloatArray, c: FloatArray, source: IntArray, allowed: BoolArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Least and largest c + a.x (K,) over profiles that use the source, and the largest over those that do not (or -inf)."""
    least, most, unused = np.empty(len(c)), np.empty(len(c)), np.empty(len(c))
    step = max(1, 2_000_000 // game.n_columns)
    for start in range(0, len(c), step):
        part = slice(start, start + step)
        amount = a[part] @ game.contribution.T
        rows, own = np.arange(len(amount)), game.owner[source[part]]
        high = np.where(allowed, amount, -np.inf)
        top, bottom = game.reduce(np.maximum, high), game.reduce(np.minimum, np.where(allowed, amount, np.inf))
        mine = amount[rows, source[part]]
        high[rows, source[part]] = -np.inf
        without = game.reduce(np.maximum, high)[rows, own]
        with np.errstate(invalid="ignore"):
            most[part] = c[part] + top @ game.players + mine - top[rows, own]
            least[part] = c[part] + bottom @ game.players + mine - bottom[rows, own]
            rest = top @ game.players - top[rows, own] * game.players[own]
            unused[part] = c[part] + rest + without * game.players[own]
    # A type whose actions are all ruled out makes sums of infinities: nothing more is ruled out, and the program has no point.
    return (
        np.nan_to_num(least, nan=-np.inf, posinf=-np.inf),
        np.nan_to_num(most, nan=0.0, neginf=0.0),
        np.nan_to_num(unused, nan=0.0),
    )


def _profile(builder: ProgramBuilder, game: AggregativeGame, allowed: BoolArray) -> Block:
    """Columns p and the rows that place everybody."""
    axes = ("player" if bool((game.players == 1).all()) else "type", "action")
    upper = np.where(allowed, game.players[game.owner], 0)
    labels = (game.types or None, None)
    p = builder.columns("p", counts=game.n_actions, axes=axes, labels=labels, upper=upper, integer=True)
    one = builder.rows("one_action", (game.n_types,), axes=axes[:1], lower=game.players, upper=game.players)
    builder.add(one, p, game.owner, np.arange(game.n_columns))
    return p


def _indicators(builder: ProgramBuilder, game: AggregativeGame, p: Block, held: _Conditions, unit: FloatArray) -> None:
    many = np.flatnonzero(game.players[game.owner] > 1)
    d = game.n_coordinates
    axis = ("coordinate",)
    named = (game.coordinates or None,)
    x = builder.columns("x", (d,), axes=axis, labels=named, lower=game.lower / unit, upper=game.upper / unit)
    aggregator = builder.rows("aggregator", (d,), axes=axis, labels=named, lower=0.0, upper=0.0)
    column, k = np.nonzero(game.contribution)
    builder.add(aggregator, p, k, column, game.contribution[column, k] / unit[k])
    builder.add(aggregator, x, np.arange(d), np.arange(d), -1.0)
    place = np.full(game.n_columns, -1)
    if len(many):
        used = builder.columns("used", (len(many),), axes=("column",), upper=1.0, integer=True)
        place[many] = np.arange(len(many))
        counts = game.players[game.owner[many]]
        uses = builder.rows("uses", (len(many),), axes=("column",), upper=0.0)
        builder.add(uses, p, np.arange(len(many)), many)
        builder.add(uses, used, np.arange(len(many)), np.arange(len(many)), -counts.astype(np.float64))
    if not len(held.size):
        return
    share = held.big / held.size
    best = builder.rows("best_reply", (len(share),), axes=("change",), upper=share - held.constant / held.size)
    row, k = np.nonzero(held.slope)
    builder.add(best, x, row, k, held.slope[row, k] * unit[k] / held.size[row])
    single = np.flatnonzero(place[held.source] < 0)
    builder.add(best, p, single, held.source[single], share[single])
    if len(many):
        several = np.flatnonzero(place[held.source] >= 0)
        builder.add(best, used, several, place[held.source[several]], share[several])


def _candidates(game: AggregativeGame) -> tuple[FloatArray, BoolArray]:
    """The aggregators (K, d) that best replies there may cause, and which actions are best replies (K, N)."""
    x = attainable(game, MOST_AGGREGATORS)
    if x is None:
        raise _too_large(game, f"more than {MOST_AGGREGATORS:,} aggregators that profiles cause")
    replies = replies_at(game, x)
    keep = game.reduce(np.logical_or, replies).all(axis=1)
    for k in range(game.n_coordinates):
        g = game.contribution[:, k]
        with np.errstate(invalid="ignore"):
            most = game.reduce(np.maximum, np.where(replies, g, -np.inf)) @ game.players
            least = game.reduce(np.minimum, np.where(replies, g, np.inf)) @ game.players
        slack = 1e-9 * game.magnitude[k]
        keep &= (least <= x[:, k] + slack) & (most >= x[:, k] - slack)
    return x[keep], replies[keep]


def _choices(builder: ProgramBuilder, game: AggregativeGame, p: Block, x: FloatArray, replies: BoolArray, unit: FloatArray) -> None:
    d, K = game.n_coordinates, len(x)
    aggregator = builder.rows("aggregator", (d,), axes=("coordinate",), labels=(game.coordinates or None,), lower=0.0, upper=0.0)
    column, k = np.nonzero(game.contribution)
    builder.add(aggregator, p, k, column, game.contribution[column, k] / unit[k])
    one = builder.rows("one_aggregator", (1,), axes=("all",), lower=1.0, upper=1.0)
    reply = builder.rows("best_reply", counts=game.n_actions, axes=("type", "action"), upper=0.0)
    N = game.n_columns
    builder.add(reply, p, np.arange(N), np.arange(N))
    z = builder.columns("z", (K,), axes=("aggregator",), upper=1.0, integer=True)
    builder.add(one, z, np.zeros(K, dtype=np.int64), np.arange(K))
    row, k = np.nonzero(x)
    builder.add(aggregator, z, k, row, -x[row, k] / unit[k])
    at, column = np.nonzero(replies)
    builder.add(reply, z, column, at, -game.players[game.owner[column]].astype(np.float64))


def _cut_off(builder: ProgramBuilder, game: AggregativeGame, p: Block, excluded: IntArray) -> None:
    """Every profile but those: a column of one player changes its value, or one of more players goes up or down."""
    count = game.players[game.owner]
    single, many = np.flatnonzero(count == 1), np.flatnonzero(count > 1)
    E, m = len(excluded), len(many)
    inside = excluded[:, single]
    cut = builder.rows("cut", (E,), axes=("profile",), lower=1.0 - inside.sum(axis=1))
    at, k = np.indices(inside.shape).reshape(2, -1)
    builder.add(cut, p, at, single[k], np.where(inside > 0, -1.0, 1.0).reshape(-1))
    if not m:
        return
    q, n = excluded[:, many].astype(np.float64).reshape(-1), np.tile(count[many], E).astype(np.float64)
    at, column = np.repeat(np.arange(E), m), np.tile(many, E)
    each = np.arange(E * m)
    for name, upper in (("more", q < n), ("fewer", q > 0)):
        side = builder.columns(name, (E, m), axes=("profile", "column"), upper=upper.astype(np.float64), integer=True)
        rows = builder.rows(name, (E, m), axes=("profile", "column"), lower=0.0 if name == "more" else -n)
        builder.add(rows, p, each, column, 1.0 if name == "more" else -1.0)
        builder.add(rows, side, each, each, -(q + 1) if name == "more" else -(n - q + 1))
        builder.add(cut, side, at, each)


def _too_large(game: AggregativeGame, why: str) -> InvalidData:
    return InvalidData(
        f"{game.name!r} has {game.n_players:,} players and {why}, so that no exact program of it is built",
        "AggregativeNash(split='widest', welfare_gap=0.01) takes games of any size.",
    )
