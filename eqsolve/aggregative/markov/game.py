"""The aggregative Markov game."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.game import AggregativeGame, equal_types
from eqsolve.aggregative.markov.transitions import Transitions
from eqsolve.aggregative.payoffs import Payoffs
from eqsolve.arrays import FloatArray, IntArray, float_array, frozen, int_array, whole_number
from eqsolve.errors import InvalidGame

SUM = 1e-9
"""How far the initial distribution may add up away from 1."""
SAMPLED_AT_ONCE = 2_000_000
"""Transition probabilities that ``check_lipschitz`` evaluates at once."""


@dataclass(frozen=True, slots=True, eq=False)
class AggregativeMarkovGame:
    r"""n players of T types over H steps and S states, who meet in the aggregator alone.

    .. math:: x_h^k(a) = \sum_i g_{h,i}^k(a_i), \qquad \text{player } i \text{ earns } r_{h,i}(s, a_i, x_h(a)), \qquad
              s' \sim P_h(\cdot \mid s, x_h(a))

    A type is a group of players with the same actions, contributions, rewards and welfare weights. Arrays over (type, action) are
    flat, N = sum of the numbers of actions: a *column* is one (type, action), as in ``AggregativeGame``.

    Parameters
    ----------
    horizon : H, the number of steps.
    n_actions : (T,) number of actions of each type; they may differ (ragged).
    contribution : (H, N, d) g, scale included, or (N, d) for all steps.
    rewards : the family of the N columns' rewards at each step and state: a nested sequence [step][state], a sequence [state] for
        all steps, or one family for all.
    transition : P, of H steps or the same at every step.
    initial : (S,) the distribution of the first state.
    welfare : (H, S, N) weight w of one player of the type playing the action; fewer axes in front serve all steps, all states; 0
        when left out.
    count : (T,) number of players of each type; 1 when left out.
    name : one line. states, coordinates, types, actions : names; numbers when left out.
    type_of_player : (n,) the type of each player, where players of a type are not consecutive.

    Attributes
    ----------
    offsets : (T+1,), owner : (N,) as in ``AggregativeGame``.
    lower, upper, magnitude : (H, d) the attainable range, and the size of the sums in it.
    delta : (H,) the influence of one player on the aggregator.
    gamma_rewards : (H, S) gamma_r, the largest Lipschitz constant of a reward on the attainable range, in the sup norm.
    gamma_transition : (H, S) gamma_P, in total variation.

    Raises
    ------
    InvalidGame : wrong shapes, NaN, an empty action set, probabilities that are none, rewards that do not cover the range.

    Notes
    -----
    Source: Tang, Tang and Wu, "Provably Efficient Reinforcement Learning for Large Aggregative Markov Games", section 2.
    """

    horizon: int
    n_actions: IntArray
    contribution: FloatArray
    rewards: Any
    transition: Transitions
    initial: FloatArray
    welfare: FloatArray | None = None
    count: IntArray | None = None
    name: str = "aggregative Markov game"
    states: tuple[str, ...] = ()
    coordinates: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    type_of_player: IntArray | None = None
    offsets: IntArray = field(init=False)
    owner: IntArray = field(init=False)
    lower: FloatArray = field(init=False)
    upper: FloatArray = field(init=False)
    magnitude: FloatArray = field(init=False)
    delta: FloatArray = field(init=False)
    gamma_rewards: FloatArray = field(init=False)
    gamma_transition: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        _settle(self)

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return len(self.initial)

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
        return int(self.offsets[-1])

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates d."""
        return int(self.contribution.shape[-1])

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
        """(H, S, N) the welfare weights."""
        assert self.welfare is not None
        return self.welfare

    @property
    def lipschitz_is_computed(self) -> bool:
        """Whether every constant follows from the families; False where one is the user's word."""
        return self.transition.lipschitz_is_computed and all(one.lipschitz_is_computed for row in self.rewards for one in row)

    def reward(self, h: int, s: int) -> Payoffs:
        """The rewards of the N columns at a step and a state."""
        row = self.rewards[h if len(self.rewards) > 1 else 0]
        found: Payoffs = row[s if len(row) > 1 else 0]
        return found

    def column_of(self, actions: npt.NDArray[Any]) -> IntArray:
        """The column of each player's action: (..., n) to (..., n)."""
        return np.asarray(self.offsets[self.player_types] + actions)

    def merged(self) -> AggregativeMarkovGame:
        """The same game with equal types made one; itself where there are none, or where rewards cannot be compared."""
        if self.n_types < 2:
            return self
        signatures = [one.signature() for row in self.rewards for one in row]
        if any(one is None for one in signatures):
            return self
        names = np.unique(self.actions, return_inverse=True)[1] if self.actions else np.zeros(self.n_columns)
        g = np.moveaxis(_distinct(self.contribution, 1), -2, 0).reshape(self.n_columns, -1)
        w = np.moveaxis(_distinct(self.weights, 2), -1, 0).reshape(self.n_columns, -1)
        group = equal_types(
            self.n_actions, self.offsets, np.column_stack((g, w, *(one for one in signatures if one is not None), names))
        )
        if group is None:
            return self
        keep = np.unique(group, return_index=True)[1]
        columns = np.concatenate([np.arange(self.offsets[t], self.offsets[t + 1]) for t in keep])
        return replace(
            self,
            n_actions=self.n_actions[keep],
            contribution=self.contribution[:, columns],
            rewards=tuple(tuple(one.take(columns) for one in row) for row in self.rewards),
            welfare=self.weights[:, :, columns],
            count=np.bincount(group, weights=self.players).astype(np.int64),
            types=tuple(self.types[t] for t in keep) if self.types else (),
            actions=tuple(self.actions[c] for c in columns) if self.actions else (),
            type_of_player=group[self.player_types],
        )

    def stage_game(self, h: int, s: int) -> AggregativeGame:
        """The game that is played at a step and a state when nothing comes after it."""
        return AggregativeGame(
            n_actions=self.n_actions,
            contribution=self.contribution[h],
            payoff=self.reward(h, s),
            welfare=self.weights[h, s],
            count=self.players,
            name=f"{self.name}, step {h}, {self.state_label(s)}",
            coordinates=self.coordinates,
            types=self.types,
            actions=self.actions,
            type_of_player=self.type_of_player,
        )

    def check_lipschitz(self, samples: int = 200, seed: int = 0) -> None:
        """Try to refute the Lipschitz constants that are the user's word, on random pairs of attainable aggregators.

        Raises
        ------
        InvalidGame : a reward or a transition is not what it has to be, or changes faster than its constant; the message names
            step, state and points.
        """
        samples, seed = whole_number("samples", samples, 1), whole_number("seed", seed, 0)
        for h in range(self.horizon):
            for s in range(self.n_states):
                if not self.reward(h, s).lipschitz_is_computed:
                    try:
                        self.stage_game(h, s).check_lipschitz(samples, seed)
                    except InvalidGame as trouble:
                        raise InvalidGame(f"step {h}, {self.state_label(s)}: {trouble.what}", trouble.remedy) from trouble
                if not self.transition.lipschitz_is_computed:
                    self._check_transition(h, s, samples, seed)

    def _check_transition(self, h: int, s: int, samples: int, seed: int) -> None:
        rng = np.random.default_rng([seed, h, s])
        low, span = self.lower[h], self.upper[h] - self.lower[h]
        x = low + span * rng.random((samples, self.n_coordinates))
        step = span * rng.uniform(-1, 1, x.shape) * 10.0 ** rng.uniform(-4, 0, (samples, 1))
        near = np.clip(x + step, low, self.upper[h])
        moved = 0.5 * np.abs(self.transition.batch(h, s, x) - self.transition.batch(h, s, near)).sum(axis=1)
        allowed = self.gamma_transition[h, s] * np.abs(near - x).max(axis=1)
        k = int(np.argmax(moved - allowed))
        if moved[k] > allowed[k] + 1e-12:
            raise InvalidGame(
                f"the transition at step {h}, {self.state_label(s)} moves by {moved[k]:.6g} in total variation between "
                f"x = {x[k].tolist()} and x' = {near[k].tolist()}; its Lipschitz constant {self.gamma_transition[h, s]:.6g} allows "
                f"{allowed[k]:.6g}",
                "Give a larger constant; every bound and the search itself rest on it.",
            )

    def state_label(self, s: int) -> str:
        """Name of a state."""
        return f"state {self.states[s] if self.states else s}"

    def player_label(self, i: int) -> str:
        """Name of a player."""
        if self.types and (self.players == 1).all():
            return f"player {self.types[int(self.player_types[i])]}"
        return f"player {i}" + (f" of type {self.types[int(self.player_types[i])]}" if self.types else "")

    def action_label(self, c: int) -> str:
        """Name of a column's action."""
        return self.actions[c] if self.actions else str(c - int(self.offsets[self.owner[c]]))

    def __repr__(self) -> str:
        return f"<AggregativeMarkovGame {self.name!r}: {describe(self)}>"


def describe(game: AggregativeMarkovGame) -> str:
    """Sizes in words: ``1,000 players, 3 actions, 2 coordinates, 10 states, 10 steps``."""
    low, high = int(game.n_actions.min()), int(game.n_actions.max())
    types = "" if game.n_types == game.n_players else f" of {game.n_types:,} types"
    sizes = [f"{game.n_players:,} players{types}", f"{low if low == high else f'{low} to {high}'} actions"]
    counts = ((game.n_coordinates, "coordinate"), (game.n_states, "state"), (game.horizon, "step"))
    return ", ".join([*sizes, *(f"{many} {word}{'s' if many != 1 else ''}" for many, word in counts)])


def _settle(game: AggregativeMarkovGame) -> None:
    def put(name: str, value: object) -> None:
        object.__setattr__(game, name, value)

    H = whole_number("horizon", game.horizon, 1, InvalidGame)
    put("horizon", H)
    initial = float_array("initial", game.initial, (None,), error=InvalidGame)
    S = len(initial)
    if not S:
        raise InvalidGame("the game has no states")
    if initial.min() < 0 or abs(initial.sum() - 1.0) > SUM:
        told = (
            f"initial[{int(np.argmin(initial))}] is {initial.min():g}"
            if initial.min() < 0
            else f"initial sums to {initial.sum():.9g}"
        )
        raise InvalidGame(told, "Give probabilities of the first state.")
    put("initial", initial)
    n_actions = int_array("n_actions", game.n_actions, (None,), error=InvalidGame)
    N = int(n_actions.sum())
    g = np.asarray(game.contribution)
    g = float_array("contribution", g if g.ndim == 3 else g[None] if g.ndim == 2 else g, (None, N, None), error=InvalidGame)
    put("contribution", float_array("contribution", _spread("contribution", g, H), (H, N, None), error=InvalidGame))
    if game.n_coordinates < 1:
        raise InvalidGame("contribution has no coordinates; an aggregative game needs at least one")
    put("rewards", _families(game.rewards, H, S))
    w = np.zeros(N) if game.welfare is None else np.asarray(game.welfare)
    try:
        spread = np.broadcast_to(w, (H, S, N))
    except ValueError as cause:
        raise InvalidGame(f"welfare has the shape {w.shape}, not (steps, states, columns) = ({H}, {S}, {N})") from cause
    put("welfare", float_array("welfare", spread, (H, S, N), error=InvalidGame))
    put("states", _labels("states", game.states, S))
    if not isinstance(game.transition, Transitions):
        raise InvalidGame(
            f"transition is a {type(game.transition).__name__}, not a family", "Use ConstantTransitions, MixtureTransitions ..."
        )
    if game.transition.n_states != S or game.transition.n_steps not in (1, H):
        have = f"{game.transition.n_states} states and {game.transition.n_steps} steps"
        raise InvalidGame(f"the transitions have {have}; the game has {S} and {H}")
    if game.transition.n_coordinates not in (None, game.n_coordinates):
        raise InvalidGame(f"the transitions read {game.transition.n_coordinates} coordinates; the game has {game.n_coordinates}")
    put("n_actions", n_actions)
    put("count", int_array("count", 1 if game.count is None else game.count, (len(n_actions),), error=InvalidGame))
    lower, upper, magnitude, delta = (np.zeros((H, game.n_coordinates)) for _ in range(4))
    gamma = np.zeros((H, S))
    seen: dict[tuple[int, int], tuple[Any, ...]] = {}
    for h in range(H):
        for s in range(S):
            key = (h if len(g) > 1 else 0, id(game.reward(h, s)))
            if key not in seen:
                stage = game.stage_game(h, s)  # its own checks speak of shapes, counts, names and coverage
                seen[key] = stage.lower, stage.upper, stage.magnitude, stage.delta, float(stage.gamma.max())
                for name in ("coordinates", "types", "actions", "type_of_player", "offsets", "owner", "count"):
                    put(name, getattr(stage, name))
            lower[h], upper[h], magnitude[h], delta[h], gamma[h, s] = seen[key]
    put("delta", frozen(delta[:, 0].copy()))
    for name, value in (("lower", lower), ("upper", upper), ("magnitude", magnitude), ("gamma_rewards", gamma)):
        put(name, frozen(value))
    put("gamma_transition", frozen(np.array([[game.transition.lipschitz(h, s) for s in range(S)] for h in range(H)])))
    for h in range(H):  # the families that cannot be checked as tables are asked once
        for s in range(S):
            game.transition.batch(h, s, np.stack((lower[h], upper[h])))


def _spread(name: str, array: FloatArray, steps: int) -> FloatArray:
    if len(array) not in (1, steps):
        raise InvalidGame(f"{name} has {len(array)} steps; the game has {steps}")
    return np.broadcast_to(array, (steps, *array.shape[1:]))


def _distinct(array: FloatArray, axes: int) -> FloatArray:
    """The array without leading axes along which it repeats itself in memory."""
    pick = tuple(slice(0, 1) if stride == 0 else slice(None) for stride in array.strides[:axes])
    return np.asarray(array[pick])


def _families(given: Any, H: int, S: int) -> tuple[tuple[Payoffs, ...], ...]:
    """Families by step and state; one entry where all are the same."""
    rows: Sequence[Any] = tuple(given) if _is_listed(given) else (given,)
    if not any(_is_listed(one) for one in rows):
        rows = (rows,)
    table = tuple(tuple(row) if _is_listed(row) else (row,) for row in rows)
    if len(table) not in (1, H):
        raise InvalidGame(f"rewards have {len(table)} steps; the game has {H}")
    for h, row in enumerate(table):
        if len(row) not in (1, S):
            raise InvalidGame(f"rewards[h={h}] has {len(row)} states; the game has {S}")
        for s, one in enumerate(row):
            if not isinstance(one, Payoffs):
                raise InvalidGame(
                    f"rewards[h={h}, s={s}] is {one!r}, not a family of payoffs", "Use AffinePayoffs, CallablePayoffs ..."
                )
    return table


def _is_listed(given: Any) -> bool:
    return isinstance(given, list | tuple)


def _labels(kind: str, given: Any, length: int) -> tuple[str, ...]:
    names = tuple(str(one) for one in given or ())
    if names and len(names) != length:
        raise InvalidGame(f"{len(names)} names of {kind}, expected {length}")
    return names
