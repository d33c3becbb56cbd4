"""Polymatrix games: payoffs that add up over pairs of players, so that no table of profiles is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, int_array, whole_number
from eqsolve.errors import InvalidGame
from eqsolve.normal_form.game import (
    LARGEST,
    NormalFormGame,
    check_actions,
    check_size,
    is_pure,
    listed,
    mixed_strategies,
    payoff_array,
)


@dataclass(frozen=True, slots=True, eq=False, init=False)
class PolymatrixGame:
    r"""A game with :math:`u_i(a) = b_i(a_i) + \sum_{j \ne i} U_{ij}(a_i, a_j)`.

    Parameters
    ----------
    n_actions : (N,) numbers of actions.
    pairs : ``{(i, j): (m_i, m_j) payoffs of player i}``; pairs left out are 0. ``(i, j)`` and ``(j, i)`` are different tables.
    own : one array (m_i,) per player, the part that depends on the own action alone; 0 when left out.
    name : of the game.

    Raises
    ------
    InvalidGame : a player that does not exist or is paired with itself, a table of the wrong shape or not finite.
    """

    n_actions: IntArray
    pairs: Mapping[tuple[int, int], FloatArray]
    own: tuple[FloatArray, ...]
    name: str

    def __init__(
        self,
        n_actions: npt.ArrayLike,
        pairs: Mapping[tuple[int, int], npt.ArrayLike],
        *,
        own: Sequence[npt.ArrayLike] = (),
        name: str = "polymatrix game",
    ) -> None:
        counts = int_array("n_actions", n_actions, (None,), error=InvalidGame)
        if not counts.size or counts.min() < 1:
            raise InvalidGame(f"n_actions is {counts.tolist()}: every player needs an action")
        n = len(counts)
        tables: dict[tuple[int, int], FloatArray] = {}
        if counts.sum() > LARGEST:
            raise InvalidGame(f"n_actions adds up to {counts.sum():,}", f"At most {LARGEST:,} actions are held.")
        if not isinstance(pairs, Mapping):
            raise InvalidGame(f"pairs is a {type(pairs).__name__}, not a mapping", "Give {(i, j): payoffs of player i}.")
        for pair, given in pairs.items():
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise InvalidGame(f"pairs has the key {pair!r}, not a pair (i, j) of players")
            i, j = (whole_number(f"player of pairs[{pair[0]!r}, {pair[1]!r}]", one, 0, InvalidGame) for one in pair)
            if max(i, j) >= n or i == j:
                raise InvalidGame(f"pairs[{i}, {j}] is not a pair of two of the {n} players")
            tables[i, j] = payoff_array(f"pairs[{i}, {j}]", given, (int(counts[i]), int(counts[j])))
        alone = listed("own", own) or [np.zeros(m) for m in counts.tolist()]
        if len(alone) != n:
            raise InvalidGame(f"own has {len(alone)} arrays; there are {n} players")
        put = object.__setattr__
        put(self, "n_actions", counts)
        put(self, "pairs", tables)
        put(self, "own", tuple(payoff_array(f"own[{i}]", one, (int(counts[i]),)) for i, one in enumerate(alone)))
        put(self, "name", str(name))

    @property
    def n_players(self) -> int:
        """N."""
        return len(self.n_actions)

    def check_profile(self, profile: Any) -> tuple[FloatArray, ...]:
        """One mixed strategy (m_i,) per player, from these or from a pure profile (N,) of action numbers.

        Raises
        ------
        InvalidGame : not a profile of the game.
        """
        if not is_pure(profile):
            return mixed_strategies(profile, self.n_actions.tolist())
        a = int_array("profile", profile, (self.n_players,), error=InvalidGame)
        check_actions("profile", a, self.n_actions)
        return tuple(np.eye(1, m, k)[0] for m, k in zip(self.n_actions.tolist(), a.tolist(), strict=True))

    def action_payoffs(self, profile: Any) -> tuple[FloatArray, ...]:
        """Per player the payoff (m_i,) of each own action while the others play a profile, pure or mixed.

        Raises
        ------
        InvalidGame : not a profile of the game.
        """
        strategies = self.check_profile(profile)
        values = [one.copy() for one in self.own]
        for (i, j), table in self.pairs.items():
            values[i] += table @ strategies[j]
        return tuple(values)

    def normal_form(self) -> NormalFormGame:
        """The same game as a table of all profiles.

        Raises
        ------
        InvalidGame : the table would be too large.
        """
        sides = tuple(self.n_actions.tolist())
        n = len(sides)
        check_size(sides)
        table = np.zeros((n, *sides))
        for i, alone in enumerate(self.own):
            table[i] += alone.reshape([-1 if k == i else 1 for k in range(n)])
        for (i, j), pair in self.pairs.items():
            both = pair if i < j else pair.T
            table[i] += both.reshape([sides[k] if k in (i, j) else 1 for k in range(n)])
        return NormalFormGame(table, name=self.name)

    def __repr__(self) -> str:
        low, high = int(self.n_actions.min()), int(self.n_actions.max())
        return (
            f"<PolymatrixGame {self.name!r}: {self.n_players} players, {low if low == high else f'{low}..{high}'} actions, "
            f"{len(self.pairs)} pairs>"
        )
