"""Polymatrix games: payoffs that add up over pairs of players, so that no table of profiles is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, float_array, int_array
from eqsolve.errors import InvalidGame
from eqsolve.normal_form.game import LARGEST, NormalFormGame


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
        for (i, j), given in pairs.items():
            if not (0 <= i < n and 0 <= j < n) or i == j:
                raise InvalidGame(f"pairs[{i}, {j}] is not a pair of two of the {n} players")
            tables[int(i), int(j)] = float_array(f"pairs[{i}, {j}]", given, (int(counts[i]), int(counts[j])), error=InvalidGame)
        if own and len(own) != n:
            raise InvalidGame(f"own has {len(own)} arrays; there are {n} players")
        alone = own or [np.zeros(m) for m in counts.tolist()]
        put = object.__setattr__
        put(self, "n_actions", counts)
        put(self, "pairs", tables)
        put(self, "own", tuple(float_array(f"own[{i}]", one, (int(counts[i]),), error=InvalidGame) for i, one in enumerate(alone)))
        put(self, "name", str(name))

    @property
    def n_players(self) -> int:
        """N."""
        return len(self.n_actions)

    def action_payoffs(self, profile: npt.ArrayLike) -> tuple[FloatArray, ...]:
        """Per player the payoff (m_i,) of each own action while the others play the pure profile (N,).

        Raises
        ------
        InvalidGame : not a pure profile of the game.
        """
        a = int_array("profile", profile, (self.n_players,), error=InvalidGame)
        wrong = (a < 0) | (a >= self.n_actions)
        if wrong.any():
            i = int(np.argmax(wrong))
            raise InvalidGame(f"profile[{i}] is {a[i]}; player {i} has {self.n_actions[i]} actions, numbered from 0")
        values = [one.copy() for one in self.own]
        for (i, j), table in self.pairs.items():
            values[i] += table[:, a[j]]
        return tuple(values)

    def normal_form(self) -> NormalFormGame:
        """The same game as a table of all profiles.

        Raises
        ------
        InvalidGame : the table would be too large.
        """
        sides = tuple(self.n_actions.tolist())
        n = len(sides)
        if n * prod(sides) > LARGEST:
            raise InvalidGame(f"the table has {prod(sides):,} profiles of {n} players", f"At most {LARGEST:,} payoffs are held.")
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
