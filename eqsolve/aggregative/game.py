"""The aggregative game in normal form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.payoffs import Payoffs
from eqsolve.arrays import FloatArray, IntArray, float_array, frozen, int_array, whole_number
from eqsolve.errors import InvalidGame

MOST_PLAYERS = 2**53
"""Players that floating-point sums can count one by one."""
SAMPLED_AT_ONCE = 2_000_000
"""Payoffs that ``check_lipschitz`` evaluates at once."""
FOLD = 16
"""Largest number of actions for which a reduction over the actions is done action by action."""


@dataclass(frozen=True, slots=True, eq=False)
class AggregativeGame:
    r"""n players of T types whose payoffs depend on their own action and on a d-dimensional aggregator.

    .. math:: x^k(a) = \sum_i g_i^k(a_i), \qquad \text{player } i \text{ receives } u_{i}(a_i, x(a))

    A type is a group of players with the same actions, contributions, payoffs and welfare weights; a game of n different
    players has T = n types of one player each. ``merged`` finds the types of a game given player by player. Arrays over
    (type, action) are flat, N = sum of the numbers of actions, in that reading order: a *column* is one (type, action).

    Parameters
    ----------
    n_actions : (T,) number of actions of each type, each at least 1; they may differ (ragged).
    contribution : (N, d) g, what one player of the type adds to the aggregator by the action; the scale (the paper's delta f)
        is included.
    payoff : the family of payoffs of the N columns over d coordinates.
    welfare : (N,) weight w of one player of the type playing the action, for the selection of an equilibrium; 0 when left out.
    count : (T,) number of players of each type, at least 1; 1 when left out.
    name : one line.
    coordinates, types : names of the d coordinates and the T types; numbers when left out.
    actions : names of the N columns' actions; numbers when left out.
    type_of_player : (n,) the type of each player, where players of a type are not consecutive; ``merged`` sets it.

    Attributes
    ----------
    offsets : (T+1,) first column of each type, and N. owner : (N,) type of each column.
    lower, upper : (d,) the attainable range. magnitude : (d,) sum over players of their largest |g|, for rounding.
    delta : the influence of one player, the largest range of a type's contributions over all coordinates.
    gamma_columns, gamma : (N,) and (T,) Lipschitz constants on the attainable range, in the sup norm.

    Raises
    ------
    InvalidGame : wrong shapes, NaN, an empty action set, a table that does not cover the attainable aggregators, numbers so
        large that sums over players overflow.

    Notes
    -----
    Source: Tang, Tang and Wu, "Provably Efficient Reinforcement Learning for Large Aggregative Markov Games", section 2;
    Cummings, Kearns, Roth and Wu (WINE 2015), Appendix D.
    """

    n_actions: IntArray
    contribution: FloatArray
    payoff: Payoffs
    welfare: FloatArray | None = None
    count: IntArray | None = None
    name: str = "aggregative game"
    coordinates: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    type_of_player: IntArray | None = None
    offsets: IntArray = field(init=False)
    owner: IntArray = field(init=False)
    lower: FloatArray = field(init=False)
    upper: FloatArray = field(init=False)
    magnitude: FloatArray = field(init=False)
    delta: float = field(init=False)
    gamma_columns: FloatArray = field(init=False)
    gamma: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        _settle(self)

    @staticmethod
    def from_dense(
        contribution: npt.ArrayLike, payoff: Payoffs, welfare: npt.ArrayLike | None = None, **more: Any
    ) -> AggregativeGame:
        """A game whose players all have m actions, from ``contribution`` (n, m, d) and ``welfare`` (n, m)."""
        g = float_array("contribution", contribution, (None, None, None), error=InvalidGame)
        n, m, d = g.shape
        w = None if welfare is None else float_array("welfare", welfare, (n, m), error=InvalidGame).reshape(-1)
        return AggregativeGame(np.full(n, m), g.reshape(n * m, d), payoff, w, **more)

    @property
    def n_types(self) -> int:
        """Number of types T."""
        return len(self.n_actions)

    @property
    def n_players(self) -> int:
        """n, the number of players of all types."""
        return int(self.players.sum())

    @property
    def n_columns(self) -> int:
        """N, the number of (type, action) pairs."""
        return len(self.contribution)

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates d."""
        return int(self.contribution.shape[1])

    @property
    def players(self) -> IntArray:
        """(T,) the number of players of each type."""
        assert self.count is not None
        return self.count

    @property
    def player_types(self) -> IntArray:
        """(n,) the type of each player."""
        if self.type_of_player is not None:
            return self.type_of_player
        return np.repeat(np.arange(self.n_types), self.players)

    @property
    def weights(self) -> FloatArray:
        """(N,) the welfare weights."""
        assert self.welfare is not None
        return self.welfare

    def reduce(self, ufunc: np.ufunc, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A reduction (``np.maximum``, ``np.add`` ...) over the actions of each type: (..., N) to (..., T)."""
        return reduce_groups(ufunc, values, self.n_actions, self.offsets)

    def aggregator(self, plays: npt.ArrayLike) -> FloatArray:
        """x (d,) of a profile given as players per column (N,), whole or fractional."""
        return np.asarray(float_array("plays", plays, (self.n_columns,), error=InvalidGame) @ self.contribution)

    def social_welfare(self, plays: npt.ArrayLike) -> float:
        """Sum of the welfare weights of a profile given as players per column (N,)."""
        return float(float_array("plays", plays, (self.n_columns,), error=InvalidGame) @ self.weights)

    def plays(self, actions: npt.ArrayLike) -> IntArray:
        """Players per column (N,) of a pure profile given as one action per player (n,).

        Raises
        ------
        InvalidGame : a player's action does not exist.
        """
        chosen = int_array("actions", actions, (self.n_players,), error=InvalidGame)
        kind = self.player_types
        bad = (chosen < 0) | (chosen >= self.n_actions[kind])
        if bad.any():
            i = int(np.argmax(bad))
            raise InvalidGame(f"actions[{i}] is {chosen[i]}; player {i} has {self.n_actions[kind[i]]} actions")
        return np.bincount(self.offsets[kind] + chosen, minlength=self.n_columns)

    def profile(self, plays: npt.ArrayLike) -> IntArray:
        """One action per player (n,) of a pure profile given as players per column; within a type, in order of the actions."""
        per_column = self.check_plays(plays)
        column = np.repeat(np.arange(self.n_columns), per_column)
        chosen = column - self.offsets[self.owner[column]]
        if self.type_of_player is None:
            return chosen
        actions = np.empty(self.n_players, dtype=np.int64)
        actions[np.argsort(self.type_of_player, kind="stable")] = chosen
        return actions

    def check_plays(self, plays: npt.ArrayLike) -> IntArray:
        """A pure profile as players per column (N,), checked: whole, not negative, adding up to the count of each type.

        Raises
        ------
        InvalidGame : the message names the type or column.
        """
        checked = int_array("plays", plays, (self.n_columns,), error=InvalidGame)
        if checked.min() < 0:
            c = int(np.argmin(checked))
            raise InvalidGame(f"plays of {self.column_label(c)} is {checked[c]}")
        total = self.reduce(np.add, checked)
        if (total != self.players).any():
            t = int(np.argmax(total != self.players))
            raise InvalidGame(f"the plays of {self.type_label(t)} add up to {total[t]}, not to its {self.players[t]} players")
        return checked

    def merged(self) -> AggregativeGame:
        """The same game with equal types made one; itself where there are none.

        Two types are equal when their actions, contributions, payoffs, welfare weights and action names are equal to the
        last bit. Payoffs given as a function cannot be compared and are never merged. A type made of several names is
        called by the first of them and the number of the others.
        """
        group = self._equal_types()
        if group is None:
            return self
        keep = np.unique(group, return_index=True)[1]
        columns = np.concatenate([np.arange(self.offsets[t], self.offsets[t + 1]) for t in keep])
        return AggregativeGame(
            n_actions=self.n_actions[keep],
            contribution=self.contribution[columns],
            payoff=self.payoff.take(columns),
            welfare=self.weights[columns],
            count=np.bincount(group, weights=self.players).astype(np.int64),
            name=self.name,
            coordinates=self.coordinates,
            types=_joint_names(self.types, group, len(keep)) if self.types else (),
            actions=tuple(self.actions[c] for c in columns) if self.actions else (),
            type_of_player=group[self.player_types],
        )

    def _equal_types(self) -> IntArray | None:
        """(T,) the group of each type, in order of first appearance; None where no two types are equal or none can be compared."""
        signature = self.payoff.signature()
        if signature is None or self.n_types < 2:
            return None
        names = np.unique(self.actions, return_inverse=True)[1] if self.actions else np.zeros(self.n_columns)
        features: FloatArray = np.column_stack((self.contribution, self.weights, signature, names)).astype(np.float64)
        return equal_types(self.n_actions, self.offsets, np.asarray(features, dtype=np.float64))

    def check_lipschitz(self, samples: int = 200, seed: int = 0) -> float:
        """Try to refute the Lipschitz constants on random pairs of attainable aggregators.

        Returns
        -------
        The largest ratio seen of a payoff difference to its allowed size; at most 1.

        Raises
        ------
        InvalidGame : a payoff is not finite, or changes faster than its constant; the message names column and points.
        """
        samples = whole_number("samples", samples, 1)
        rng = np.random.default_rng(whole_number("seed", seed, 0))
        span = self.upper - self.lower
        x = self.lower + span * rng.random((samples, self.n_coordinates))
        step = span * rng.uniform(-1, 1, x.shape) * 10.0 ** rng.uniform(-4, 0, (samples, 1))
        near = np.clip(x + step, self.lower, self.upper)
        at_once = max(1, SAMPLED_AT_ONCE // self.n_columns)
        return max(self._steepest(x[k : k + at_once], near[k : k + at_once]) for k in range(0, samples, at_once))

    def _steepest(self, x: FloatArray, near: FloatArray) -> float:
        """The largest ratio of a payoff difference to the allowed one over pairs of points; refuses one above 1."""
        here, there = self.payoff.batch(x), self.payoff.batch(near)
        allowed = self.gamma_columns * np.abs(near - x).max(axis=1)[:, None]
        rounding = 1e-12 * (1.0 + np.abs(here) + np.abs(there))
        excess = np.abs(here - there) - rounding
        worst = np.unravel_index(int(np.argmax(excess - allowed)), excess.shape)
        if excess[worst] > allowed[worst]:
            s, c = int(worst[0]), int(worst[1])
            raise InvalidGame(
                f"the payoff of {self.column_label(c)} changes by {abs(here[worst] - there[worst]):.6g} "
                f"between x = {x[s].tolist()} and x' = {near[s].tolist()}; "
                f"its Lipschitz constant {self.gamma_columns[c]:.6g} allows {allowed[worst]:.6g}",
                "Give a larger constant; every bound and the search itself rest on it.",
            )
        return float(np.max(excess / np.maximum(allowed, 1e-300), where=allowed > 0, initial=0.0))

    def type_label(self, t: int) -> str:
        """Name of a type, such as ``player 418`` or ``type 3``."""
        word = "player" if (self.players == 1).all() else "type"
        return f"{word} {self.types[t] if self.types else t}"

    def action_label(self, c: int) -> str:
        """Name of a column's action."""
        return self.actions[c] if self.actions else str(c - int(self.offsets[self.owner[c]]))

    def column_label(self, c: int) -> str:
        """Name of a column, such as ``player 418, action road 2``."""
        return f"{self.type_label(int(self.owner[c]))}, action {self.action_label(c)}"

    def __repr__(self) -> str:
        return f"<AggregativeGame {self.name!r}: {describe(self)}>"


def describe(game: AggregativeGame) -> str:
    """Sizes in words: ``1,000 players, 3 actions, 2 coordinates``."""
    low, high = int(game.n_actions.min()), int(game.n_actions.max())
    types = "" if game.n_types == game.n_players else f" of {game.n_types:,} types"
    coordinates = f"{game.n_coordinates} coordinate{'s' if game.n_coordinates != 1 else ''}"
    return f"{game.n_players:,} players{types}, {low if low == high else f'{low} to {high}'} actions, {coordinates}"


def _settle(game: AggregativeGame) -> None:
    def put(name: str, value: object) -> None:
        object.__setattr__(game, name, value)

    n_actions = int_array("n_actions", game.n_actions, (None,), error=InvalidGame)
    types = len(n_actions)
    if not types:
        raise InvalidGame("the game has no players")
    if n_actions.min() < 1:
        raise InvalidGame(f"n_actions[{int(np.argmin(n_actions))}] is {n_actions.min()}: an action set is empty")
    columns = int(n_actions.sum())
    g = float_array("contribution", game.contribution, (columns, None), error=InvalidGame)
    d = g.shape[1]
    if not isinstance(game.payoff, Payoffs):
        raise InvalidGame(f"payoff is {game.payoff!r}, not a family of payoffs", "Use AffinePayoffs, CallablePayoffs ...")
    if d < 1:
        raise InvalidGame("contribution has no coordinates; an aggregative game needs at least one")
    if (game.payoff.n_columns, game.payoff.n_coordinates) != (columns, d):
        have = f"{game.payoff.n_columns} columns over {game.payoff.n_coordinates} coordinates"
        raise InvalidGame(f"the payoffs have {have}; the game has {columns} over {d}")
    count = int_array("count", 1 if game.count is None else game.count, (types,), error=InvalidGame)
    if count.min() < 1:
        raise InvalidGame(f"count[{int(np.argmin(count))}] is {count.min()}; a type has at least one player")
    if float(count.sum(dtype=np.float64)) > MOST_PLAYERS:
        raise InvalidGame(f"count adds up to {count.sum(dtype=np.float64):g} players; at most 2^53 can be counted exactly")
    for name, length in (("coordinates", d), ("types", types), ("actions", columns)):
        put(name, _names(name, getattr(game, name), length))
    if game.type_of_player is not None:
        put("type_of_player", _checked_players(game.type_of_player, count))
    put("n_actions", n_actions)
    put("contribution", g)
    put("count", count)
    put("welfare", float_array("welfare", 0.0 if game.welfare is None else game.welfare, (columns,), error=InvalidGame))
    put("offsets", frozen(np.concatenate(([0], np.cumsum(n_actions)))))
    put("owner", frozen(np.repeat(np.arange(types), n_actions)))
    least, most = game.reduce(np.minimum, g.T), game.reduce(np.maximum, g.T)
    with np.errstate(over="ignore", invalid="ignore"):
        put("lower", frozen(least @ count))
        put("upper", frozen(most @ count))
    with np.errstate(over="ignore", invalid="ignore"):
        put("delta", float((most - least).max()))
        put("magnitude", frozen(np.maximum(np.abs(least), np.abs(most)) @ count))
        total = np.abs(game.weights) @ count[game.owner]
    _check_finite("the aggregator", np.concatenate((game.magnitude, [game.delta])))
    _check_finite("the total welfare", np.atleast_1d(total))
    trouble = game.payoff.covers(game.lower, game.upper)
    if trouble:
        raise InvalidGame(trouble, "Tabulate over the whole attainable range, or scale the numbers down.")
    put("gamma_columns", frozen(game.payoff.lipschitz(game.lower, game.upper)))
    put("gamma", frozen(game.reduce(np.maximum, game.gamma_columns)))
    _check_finite("a Lipschitz constant on the attainable range", game.gamma_columns)


def _check_finite(what: str, values: FloatArray) -> None:
    if not np.isfinite(values).all():
        raise InvalidGame(f"{what} overflows", "Scale the numbers of the game; they are too large to be added up.")


def _names(kind: str, given: Any, length: int) -> tuple[str, ...]:
    if isinstance(given, str):
        raise InvalidGame(f"{kind} is one text, {given!r}", f"Give {length} names.")
    names = tuple(str(one) for one in given or ())
    if names and len(names) != length:
        raise InvalidGame(f"{len(names)} names of {kind}, expected {length}")
    return names


def _checked_players(given: Any, count: IntArray) -> IntArray:
    kind = int_array("type_of_player", given, (int(count.sum()),), error=InvalidGame)
    outside = (kind < 0) | (kind >= len(count))
    if outside.any():
        i = int(np.argmax(outside))
        raise InvalidGame(f"type_of_player[{i}] is {kind[i]}; there are {len(count)} types")
    have = np.bincount(kind, minlength=len(count))
    if (have != count).any():
        t = int(np.argmax(have != count))
        raise InvalidGame(f"type_of_player names type {t} for {have[t]} players; count says {count[t]}")
    return kind


def _joint_names(names: tuple[str, ...], group: IntArray, groups: int) -> tuple[str, ...]:
    """One name for each group of types: their common one, or the first and how many others there are."""
    members: list[dict[str, None]] = [{} for _ in range(groups)]
    for t, name in zip(group.tolist(), names, strict=True):
        members[t].setdefault(name)
    return tuple(next(iter(one)) + (f" and {len(one) - 1} others" if len(one) > 1 else "") for one in members)


def reduce_groups(ufunc: np.ufunc, values: npt.NDArray[Any], width: IntArray, offsets: IntArray) -> npt.NDArray[Any]:
    """A reduction over consecutive groups of the last axis, of lengths ``width`` (T,) from ``offsets`` (T+1,)."""
    if not len(width) or offsets[-1] == len(width):
        return values
    m = int(width[0])
    if m <= FOLD and (width == m).all():
        # Folding slices is several times faster than a reduction over a short last axis.
        table = values.reshape(*values.shape[:-1], len(width), m)
        folded = table[..., 0]
        for j in range(1, m):
            folded = ufunc(folded, table[..., j])
        return np.asarray(folded)
    return np.asarray(ufunc.reduceat(values, offsets[:-1], axis=-1))


def equal_types(n_actions: IntArray, offsets: IntArray, features: FloatArray) -> IntArray | None:
    """(T,) the group of each type, in order of first appearance, by the features (N, L) of its columns; None where all differ."""
    first = np.empty(len(n_actions), dtype=np.int64)
    for m in np.unique(n_actions):
        types = np.flatnonzero(n_actions == m)
        first[types] = types[first_equal(features[offsets[types][:, None] + np.arange(m)].reshape(len(types), -1))]
    keep, group = np.unique(first, return_inverse=True)
    return None if len(keep) == len(n_actions) else group


def first_equal(table: FloatArray) -> IntArray:
    """(R,) the first row that is equal to each row (R, L), to the last bit."""
    table = np.ascontiguousarray(table)
    rows = table.view(np.dtype((np.void, table.dtype.itemsize * table.shape[1]))).ravel()
    _, index, inverse = np.unique(rows, return_index=True, return_inverse=True)
    return np.asarray(index[inverse])


def labels_of(prefix: str, count: int) -> tuple[str, ...]:
    """Names ``prefix 0 .. prefix count-1``."""
    return tuple(f"{prefix} {k}" for k in range(count))


def repeat_labels(labels: Sequence[str], times: int) -> tuple[str, ...]:
    """The same action names for every type."""
    return tuple(labels) * times
