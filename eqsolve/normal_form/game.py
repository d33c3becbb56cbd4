"""Finite games in normal form: every player's payoff at every pure profile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import SUM, FloatArray, IntArray, float_array, frozen, int_array, real_number, whole_number
from eqsolve.errors import InvalidData, InvalidGame, UnknownName, unknown

LARGEST = 50_000_000
"""Most numbers in a payoff table; a larger game belongs in a form that does not list its profiles."""
MOST_PLAYERS = 62
"""Most players of a table: numpy's arrays have 64 axes, and programs need one beside those of the players and the payoffs."""
HUGE = 1e100
"""Payoffs beyond this are refused: their sums and differences, and the products of these in solvers, leave the range of floats."""


@dataclass(frozen=True, slots=True, eq=False, init=False)
class NormalFormGame:
    r"""A finite game of N players; player i has m_i actions and the payoff :math:`u_i(a_1, \ldots, a_N)`.

    Profiles are numbered row-major: the action of the last player changes fastest.

    Parameters
    ----------
    payoffs : (N, m_1, ..., m_N), or a sequence of N arrays (m_1, ..., m_N), in reward units. The first axis of each array is the
        action of player 0, whosever payoff it is.
    players : N labels; numbers when left out.
    actions : one tuple of m_i labels per player; numbers when left out. One flat tuple serves all players when they have equally
        many actions.
    name : of the game, one line.

    Raises
    ------
    InvalidGame : payoffs that are not finite (the first offending profile is named) or not of that shape, a player without
        actions, more or fewer labels than things to label, equal labels.

    Examples
    --------
    >>> game = NormalFormGame([[[3, 0], [5, 1]], [[3, 5], [0, 1]]], actions=("cooperate", "defect"), name="prisoner's dilemma")
    >>> game
    <NormalFormGame "prisoner's dilemma": 2 players, 2 x 2 actions>
    >>> game.payoff(["defect", "cooperate"])
    array([5., 0.])
    """

    payoffs: FloatArray
    players: tuple[str, ...]
    actions: tuple[tuple[str, ...], ...]
    name: str

    def __init__(
        self, payoffs: Any, *, players: Sequence[str] = (), actions: Sequence[Any] = (), name: str = "normal-form game"
    ) -> None:
        table = payoff_array("payoffs", payoffs)
        if table.ndim < 2:
            raise InvalidGame(
                f"payoffs has {table.ndim} axes", "Give (N, m_1, ..., m_N): one axis for players, then one per player."
            )
        if table.ndim != table.shape[0] + 1:
            sides = " x ".join(map(str, table.shape))
            raise InvalidGame(
                f"payoffs has shape {sides}: {table.shape[0]} players and {table.ndim - 1} axes of actions",
                "Give (N, m_1, ..., m_N), or N arrays (m_1, ..., m_N). np.moveaxis(u, -1, 0) brings a last axis of players first.",
            )
        if 0 in table.shape[1:]:
            raise InvalidGame(f"player {table.shape[1:].index(0)} has no action")
        put = object.__setattr__
        put(self, "payoffs", table)
        put(self, "players", unique_labels("players", players, table.shape[0]))
        put(self, "actions", _action_labels(actions, table.shape[1:]))
        put(self, "name", str(name))

    @classmethod
    def from_arrays(cls, *payoffs: npt.ArrayLike, **more: Any) -> NormalFormGame:
        """From one array (m_1, ..., m_N) per player; for two players also from one matrix A, the game (A, -A).

        Raises
        ------
        InvalidGame : as ``NormalFormGame``, or arrays of different shapes.
        """
        tables = [payoff_array(f"payoffs[{i}]", one) for i, one in enumerate(payoffs)]
        if len(tables) == 1 and tables[0].ndim == 2:
            tables.append(np.negative(tables[0]))
        for i, one in enumerate(tables):
            if one.shape != tables[0].shape:
                raise InvalidGame(f"payoffs[{i}] has shape {one.shape}, payoffs[0] has {tables[0].shape}")
        return cls(np.stack(tables) if tables else [], **more)

    @classmethod
    def from_profiles(
        cls, n_actions: npt.ArrayLike, profiles: npt.ArrayLike, payoffs: npt.ArrayLike, *, default: float = 0.0, **more: Any
    ) -> NormalFormGame:
        """From a list of profiles with their payoffs.

        Parameters
        ----------
        n_actions : (N,) numbers of actions.
        profiles : (K, N) action numbers, no profile twice.
        payoffs : (K, N) payoffs of all players at each of them.
        default : the payoff at all other profiles.

        Raises
        ------
        InvalidGame : an action that does not exist, a profile given twice, payoffs of another shape or not finite.
        """
        counts = int_array("n_actions", n_actions, (None,), error=InvalidGame)
        if not counts.size or counts.min() < 1:
            raise InvalidGame(f"n_actions is {counts.tolist()}: every player needs an action")
        sides = tuple(counts.tolist())
        check_size(sides)
        where = int_array("profiles", profiles, (None, len(sides)), error=InvalidGame)
        values = float_array("payoffs", payoffs, where.shape, error=InvalidGame)
        check_actions("profiles", where, counts)
        flat = np.ravel_multi_index(tuple(where.T), sides)
        order = np.argsort(flat, kind="stable")
        twice = np.flatnonzero(np.diff(flat[order]) == 0)
        if len(twice):
            k = int(order[twice[0] + 1])
            raise InvalidGame(f"profiles[{k}] = {where[k].tolist()} is given twice")
        table = np.full((len(sides), prod(sides)), real_number("default", default, error=InvalidGame))
        table[:, flat] = values.T
        return cls(table.reshape(len(sides), *sides), **more)

    @property
    def n_players(self) -> int:
        """N."""
        return int(self.payoffs.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """(m_1, ..., m_N), the numbers of actions."""
        return self.payoffs.shape[1:]

    @property
    def n_profiles(self) -> int:
        """Number of pure profiles, the product of the numbers of actions."""
        return prod(self.shape)

    @property
    def welfare(self) -> FloatArray:
        """(m_1, ..., m_N) the sum of all payoffs at each profile."""
        return np.asarray(self.payoffs.sum(axis=0))

    def payoff(self, profiles: Any) -> FloatArray:
        """Payoffs (..., N) at pure profiles (..., N); one profile may also be given by labels.

        Raises
        ------
        InvalidGame, UnknownName : an action that does not exist.
        """
        where = self.check_profiles(profiles)
        return np.asarray(np.moveaxis(self.payoffs[(slice(None), *np.moveaxis(where, -1, 0))], 0, -1))

    def expected(self, distribution: npt.ArrayLike) -> FloatArray:
        """Expected payoffs (N,) under a distribution (m_1, ..., m_N) over profiles."""
        q = self.check_distribution(distribution)
        return np.asarray(self.payoffs.reshape(self.n_players, -1) @ q.reshape(-1))

    def check_profiles(self, profiles: Any) -> IntArray:
        """Pure profiles (..., N) as action numbers.

        Raises
        ------
        InvalidGame : another length than N, or an action number out of range.
        UnknownName : a label that does not exist.
        """
        if isinstance(profiles, Sequence) and any(isinstance(one, str) for one in profiles):
            if len(profiles) != self.n_players:
                raise InvalidGame(f"the profile names {len(profiles)} actions; there are {self.n_players} players")
            profiles = [self.action_number(i, one) for i, one in enumerate(profiles)]
        where = int_array("profile", profiles, error=InvalidGame)
        if not where.ndim or where.shape[-1] != self.n_players:
            raise InvalidGame(f"the profile has shape {where.shape}; its last axis is the {self.n_players} players")
        check_actions("profile", where, np.asarray(self.shape))
        return where

    def check_mixed(self, strategies: Any) -> tuple[FloatArray, ...]:
        """One mixed strategy (m_i,) per player.

        Raises
        ------
        InvalidGame : another number of strategies, a wrong length, a negative probability, or a sum that is not 1 within 1e-9.
        """
        return mixed_strategies(strategies, self.shape)

    def check_distribution(self, distribution: npt.ArrayLike) -> FloatArray:
        """A distribution over profiles, (m_1, ..., m_N) or flat; returned with one axis per player.

        Raises
        ------
        InvalidGame : another shape, a negative probability, or a sum that is not 1 within 1e-9.
        """
        given = float_array("distribution", distribution, error=InvalidGame)
        if given.ndim == 1 and given.size == self.n_profiles:
            given = given.reshape(self.shape)
        return distribution_array("distribution", given, self.shape)

    def product(self, strategies: Sequence[npt.ArrayLike]) -> FloatArray:
        """The distribution (m_1, ..., m_N) of independent mixed strategies."""
        q = np.ones(())
        for one in self.check_mixed(strategies):
            q = np.multiply.outer(q, one)
        return q

    def player_label(self, i: int) -> str:
        """The name of a player, or ``player 0``."""
        return self.players[i] if self.players else f"player {i}"

    def action_label(self, i: int, action: int) -> str:
        """The name of an action of player i, or its number."""
        return self.actions[i][action] if self.actions else str(action)

    def profile_label(self, profile: Iterable[int]) -> str:
        """A profile in words: ``(dare, chicken)``."""
        return f"({', '.join(self.action_label(i, int(a)) for i, a in enumerate(profile))})"

    def player_number(self, player: int | str) -> int:
        """The number of a player given by number or label.

        Raises
        ------
        UnknownName : there is no such player.
        """
        return _number("player", player, self.players, self.n_players)

    def action_number(self, i: int, action: int | str) -> int:
        """The number of an action of player i given by number or label.

        Raises
        ------
        UnknownName : there is no such action.
        """
        return _number(f"action of {self.player_label(i)}", action, self.actions[i] if self.actions else (), self.shape[i])

    def __repr__(self) -> str:
        return f"<NormalFormGame {self.name!r}: {self.n_players} players, {' x '.join(map(str, self.shape))} actions>"


def mixed_strategies(given: Any, counts: Sequence[int]) -> tuple[FloatArray, ...]:
    """One distribution per player over that many actions.

    Raises
    ------
    InvalidGame : another number of strategies, or not distributions.
    """
    each = listed("profile", given)
    if len(each) != len(counts):
        raise InvalidGame(f"{len(each)} mixed strategies are given; there are {len(counts)} players")
    return tuple(distribution_array(f"strategies[{i}]", one, (m,)) for i, (one, m) in enumerate(zip(each, counts, strict=True)))


def is_pure(profile: Any) -> bool:
    """Whether a profile is given as one action per player rather than as mixed strategies."""
    if isinstance(profile, np.ndarray):
        return profile.ndim == 1
    return isinstance(profile, Sequence) and not any(map(np.ndim, profile))


def listed(what: str, given: Any) -> list[Any]:
    """The elements of a sequence.

    Raises
    ------
    InvalidGame : not a sequence.
    """
    try:
        return list(given)
    except TypeError as cause:
        raise InvalidGame(f"{what} is {given!r}, not a sequence") from cause


def _number(what: str, given: int | str, labels: tuple[str, ...], count: int) -> int:
    if isinstance(given, str):
        if given in labels:
            return labels.index(given)
        raise unknown(what, given, labels)
    try:
        return whole_number(what, given, 0, most=count - 1)
    except InvalidData as cause:
        raise UnknownName(f"there is no {what} {given}", f"They are numbered 0 to {count - 1}.") from cause


def check_actions(what: str, where: IntArray, counts: npt.NDArray[Any]) -> None:
    """Refuse action numbers (..., N) that the players, who have ``counts`` (N,) actions, do not have."""
    wrong = (where < 0) | (where >= counts)
    if wrong.any():
        at = tuple(int(k) for k in np.argwhere(wrong)[0])
        raise InvalidGame(f"{what}{list(at)} is {where[at]}; player {at[-1]} has {counts[at[-1]]} actions, numbered from 0")


def check_size(counts: Sequence[int]) -> None:
    """Refuse tables of payoffs that are too large, for players with these numbers of actions.

    Raises
    ------
    InvalidGame : the table would have more than ``LARGEST`` payoffs or ``MOST_PLAYERS`` players.
    """
    n, profiles = len(counts), prod(counts)
    if n * profiles > LARGEST:
        raise InvalidGame(f"the game has {profiles:,} profiles of {n:,} players", f"At most {LARGEST:,} payoffs are held.")
    if n > MOST_PLAYERS:
        raise InvalidGame(f"the game has {n:,} players", f"A table of payoffs has an axis for each, and at most {MOST_PLAYERS}.")


def payoff_array(what: str, given: Any, shape: tuple[int | None, ...] | None = None) -> FloatArray:
    """Payoffs as a read-only array.

    Raises
    ------
    InvalidGame : as ``float_array``, or a payoff beyond ``HUGE``.
    """
    table = float_array(what, given, shape, error=InvalidGame)
    beyond = np.abs(table) > HUGE
    if beyond.any():
        at = [int(k) for k in np.argwhere(beyond)[0]]
        raise InvalidGame(f"{what}{at or ''} is {table[tuple(at)]:g}, beyond {HUGE:g}", "Give the payoffs in larger units.")
    return table


def distribution_array(what: str, given: Any, shape: tuple[int, ...]) -> FloatArray:
    """A distribution of the given shape, read-only.

    Raises
    ------
    InvalidGame : another shape, a negative probability, or a sum that is not 1 within 1e-9.
    """
    q = float_array(what, given, error=InvalidGame)
    if q.shape != shape:
        raise InvalidGame(f"{what} has shape {' x '.join(map(str, q.shape)) or 'scalar'}, expected {' x '.join(map(str, shape))}")
    if q.min() < 0:
        at = tuple(int(k) for k in np.argwhere(q < 0)[0])
        raise InvalidGame(f"{what}{list(at)} is {q[at]:g}, a negative probability")
    total = float(q.sum())
    if abs(total - 1.0) > SUM:
        raise InvalidGame(
            f"{what} sums to {total:.12g}, not 1", "Probabilities are never rescaled; divide by the sum if that is meant."
        )
    return frozen(q)


def unique_labels(what: str, given: Any, size: int) -> tuple[str, ...]:
    """Labels of ``size`` things, all different; none at all when none are given.

    Raises
    ------
    InvalidGame : not a sequence of labels, another number of them, or one twice.
    """
    labels = (given,) if isinstance(given, str) else tuple(str(one) for one in listed(what, given))
    if labels and len(labels) != size:
        raise InvalidGame(f"{what} has {len(labels)} labels, expected {size}")
    if len(set(labels)) != len(labels):
        raise InvalidGame(f"{what} has the label {next(one for one in labels if labels.count(one) > 1)!r} twice")
    return labels


def _action_labels(given: Any, shape: tuple[int, ...]) -> tuple[tuple[str, ...], ...]:
    groups = listed("actions", given)
    if not groups:
        return ()
    if all(isinstance(one, str) for one in groups):
        if len(set(shape)) != 1:
            raise InvalidGame("one list of action labels is given, and players have different numbers of actions")
        groups = [groups] * len(shape)
    if len(groups) != len(shape):
        raise InvalidGame(f"actions has labels for {len(groups)} players, expected {len(shape)}")
    return tuple(unique_labels(f"actions[{i}]", one, shape[i]) for i, one in enumerate(groups))
