"""Finite Markov games: a normal-form game in every state, with transitions that depend on the joint action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import SUM, FloatArray, IntArray, Kernel, float_array, frozen, int_array, transition_kernels, whole_number
from eqsolve.errors import InvalidGame
from eqsolve.normal_form.game import LARGEST, NormalFormGame, distribution_array, payoff_array, unique_labels


@dataclass(frozen=True, slots=True, eq=False, init=False)
class FiniteMarkovGame:
    r"""A Markov game of N players, S states and H steps.

    .. math:: V_i^\pi = \mathbb{E}\Big[ \sum_{h<H} r_{i,h}(s_h, a_h) + g_i(s_H) \Big], \qquad s_{h+1} \sim P_h(\cdot \mid s_h, a_h)

    The K joint pairs of a state and a joint action are numbered state by state: state s owns ``first[s]`` to ``first[s + 1] - 1``,
    its joint actions in row-major order (the action of the last player changes fastest).

    Parameters
    ----------
    n_actions : (S, N) numbers of actions, which may differ between states and players.
    transition : (K, S) a distribution over next states per pair, dense or scipy sparse, or a sequence of H of them.
    reward : (N, K), or (H, N, K), in reward units.
    horizon : H >= 1.
    initial : (S,) distribution of the first state; when left out, what is said of the game holds from every state.
    terminal : (N, S) value of the state after the last step; 0 when left out.
    players, states : labels; numbers when left out.
    name : of the game.

    Raises
    ------
    InvalidGame : an array of the wrong shape or not finite, a player without an action, a negative probability, a distribution that
        does not sum to 1 within 1e-9. The message names the step, the state and the joint action.
    """

    n_actions: IntArray
    first: IntArray
    transition: tuple[Kernel, ...]
    reward: FloatArray
    horizon: int
    initial: FloatArray | None
    terminal: FloatArray
    players: tuple[str, ...]
    states: tuple[str, ...]
    name: str

    def __init__(
        self,
        n_actions: npt.ArrayLike,
        transition: Any,
        reward: npt.ArrayLike,
        horizon: int,
        *,
        initial: npt.ArrayLike | None = None,
        terminal: npt.ArrayLike = 0.0,
        players: Sequence[str] = (),
        states: Sequence[str] = (),
        name: str = "Markov game",
    ) -> None:
        put = object.__setattr__
        counts = int_array("n_actions", n_actions, (None, None), error=InvalidGame)
        if not counts.size or counts.min() < 1:
            where = "" if not counts.size else str([int(k) for k in np.argwhere(counts < 1)[0]])
            raise InvalidGame(f"n_actions{where} is {'empty' if not counts.size else 'less than 1'}", "Everybody needs an action.")
        S, N = counts.shape
        put(self, "n_actions", counts)
        sides = [prod(one) for one in counts.tolist()]
        if sum(sides) * N > LARGEST:
            raise InvalidGame(f"the game has {sum(sides):,} joint pairs of {N} players", f"At most {LARGEST:,} rewards are held.")
        put(self, "first", frozen(np.concatenate(([0], np.cumsum(sides)))))
        put(self, "horizon", whole_number("horizon", horizon, 1, InvalidGame))
        put(self, "name", str(name))
        put(self, "players", unique_labels("players", players, N))
        put(self, "states", unique_labels("states", states, S))
        K = int(self.first[-1])
        put(self, "transition", transition_kernels(transition, (K, S), self.horizon, self._place, InvalidGame))
        given = payoff_array("reward", reward)
        put(self, "reward", payoff_array("reward", given, (self.horizon, N, K) if given.ndim == 3 else (N, K)))
        put(self, "terminal", payoff_array("terminal", terminal, (N, S)))
        put(self, "initial", None if initial is None else distribution_array("initial", initial, (S,)))

    @classmethod
    def from_arrays(cls, transition: npt.ArrayLike, reward: npt.ArrayLike, horizon: int, **more: Any) -> FiniteMarkovGame:
        """From rectangular arrays: transition (S, m_1, ..., m_N, S) and reward (N, S, m_1, ..., m_N), or with a leading axis H.

        Raises
        ------
        InvalidGame : as ``FiniteMarkovGame``.
        """
        r = float_array("reward", reward, error=InvalidGame)
        P = float_array("transition", transition, error=InvalidGame)
        steps = whole_number("horizon", horizon, 1, InvalidGame)
        for lead in ((), (steps,)):
            N, S, *sides = (*r.shape[len(lead) :], 0, 0)[: max(2, r.ndim - len(lead))]
            tail = (S, *sides, S)
            if r.shape[: len(lead)] == lead and len(sides) == N and P.shape in (tail, (steps, *tail)):
                break
        else:
            raise InvalidGame(
                f"reward has shape {r.shape} and transition has shape {P.shape}",
                "Give (N, S, m_1, ..., m_N) and (S, m_1, ..., m_N, S), or either of them with a leading axis H.",
            )
        per_step = P.shape != tail
        kernels: Any = list(P.reshape(steps, -1, S)) if per_step else P.reshape(-1, S)
        return cls(np.tile(sides, (S, 1)), kernels, r.reshape(*lead, N, -1), steps, **more)

    def parts(self) -> dict[str, Any]:
        """What the constructor takes, for files."""
        names = ("n_actions", "reward", "horizon", "initial", "terminal", "players", "states", "name")
        kernels = self.transition if len(self.transition) > 1 else self.transition[0]
        return {name: getattr(self, name) for name in names} | {"transition": kernels}

    def _place(self, h: int | None, k: int) -> str:
        return f"transition of {self.pair_label(k)}{'' if h is None else f' at step {h}'}"

    @property
    def n_players(self) -> int:
        """N."""
        return int(self.n_actions.shape[1])

    @property
    def n_states(self) -> int:
        """S."""
        return int(self.n_actions.shape[0])

    @property
    def n_pairs(self) -> int:
        """K, the number of pairs of a state and a joint action."""
        return int(self.first[-1])

    def shape_at(self, s: int) -> tuple[int, ...]:
        """(m_1, ..., m_N) in state s."""
        return tuple(self.n_actions[s].tolist())

    def pairs_at(self, s: int) -> slice:
        """The joint pairs of state s."""
        return slice(int(self.first[s]), int(self.first[s + 1]))

    def reward_at(self, h: int) -> FloatArray:
        """(N, K) the rewards of step h."""
        return self.reward[h] if self.reward.ndim == 3 else self.reward

    def kernel(self, h: int) -> Kernel:
        """(K, S) the transition of step h."""
        return self.transition[h if len(self.transition) > 1 else 0]

    def continuation(self, h: int, values: FloatArray) -> FloatArray:
        """(N, K) rewards of step h plus expected ``values`` (N, S) of the next state."""
        return np.asarray(self.reward_at(h) + np.asarray(self.kernel(h) @ values.T).T)

    def stage_game(self, h: int, s: int, values: npt.ArrayLike) -> NormalFormGame:
        """The normal-form game of state s at step h, when the next states are worth ``values`` (N, S).

        Raises
        ------
        InvalidGame : there is no such step or state, or values of another shape.
        """
        h, s = self.check_place(h, s)
        worth = payoff_array("values", values, (self.n_players, self.n_states))
        part = self.pairs_at(s)
        payoffs = self.reward_at(h)[:, part] + np.asarray(self.kernel(h)[part] @ worth.T).T
        table = payoffs.reshape(self.n_players, *self.shape_at(s))
        return NormalFormGame(table, players=self.players, name=f'step {h}, "{self.state_label(s)}"')

    def check_place(self, h: Any, s: Any) -> tuple[int, int]:
        """A step and a state by their numbers.

        Raises
        ------
        InvalidGame : there is no such step or state.
        """
        step = whole_number("step", h, 0, InvalidGame, most=self.horizon - 1)
        return step, whole_number("state", s, 0, InvalidGame, most=self.n_states - 1)

    def check_policy(self, policy: npt.ArrayLike) -> FloatArray:
        """A Markov policy (H, K): a distribution over joint actions per step and state; (K,) is the same at every step.

        Raises
        ------
        InvalidGame : another shape, a negative probability, or a sum that is not 1 within 1e-9.
        """
        given = float_array("policy", policy, error=InvalidGame)
        given = np.broadcast_to(given, (self.horizon, *given.shape)) if given.ndim == 1 else given
        pi = float_array("policy", given, (self.horizon, self.n_pairs), error=InvalidGame)
        if pi.min() < 0:
            h, k = (int(one) for one in np.argwhere(pi < 0)[0])
            raise InvalidGame(f"policy of {self.pair_label(k)} at step {h} is {pi[h, k]:g}, a negative probability")
        total = np.add.reduceat(pi, self.first[:-1], axis=1)
        wrong = np.abs(total - 1.0) > SUM
        if wrong.any():
            h, s = (int(one) for one in np.argwhere(wrong)[0])
            raise InvalidGame(f"the policy of state {self.state_label(s)} at step {h} sums to {total[h, s]:.12g}, not 1")
        return pi

    def state_label(self, s: int) -> str:
        """The name of a state, or its number."""
        return self.states[s] if self.states else str(s)

    def player_label(self, i: int) -> str:
        """The name of a player, or ``player 0``."""
        return self.players[i] if self.players else f"player {i}"

    def pair_label(self, k: int) -> str:
        """A pair in words: ``state 3, joint action (0, 2)``."""
        s = int(np.searchsorted(self.first, k, side="right")) - 1
        joint = np.unravel_index(k - int(self.first[s]), self.shape_at(s))
        return f"state {self.state_label(s)}, joint action ({', '.join(str(int(a)) for a in joint)})"

    def __repr__(self) -> str:
        return (
            f"<FiniteMarkovGame {self.name!r}: {self.n_players} players, {self.n_states} states, {self.horizon} steps, "
            f"{self.n_pairs:,} joint pairs>"
        )


def random_markov_game(
    states: int, n_actions: npt.ArrayLike, horizon: int, *, successors: int = 3, seed: int | np.random.Generator = 0
) -> FiniteMarkovGame:
    """Uniform rewards in [0, 1] and random transitions to a few states; ``n_actions`` (N,) or (S, N).

    Raises
    ------
    InvalidGame : see ``FiniteMarkovGame``.
    """
    rng = np.random.default_rng(seed)
    S = whole_number("states", states, 1, InvalidGame)
    given = np.atleast_1d(int_array("n_actions", n_actions, error=InvalidGame))
    counts = np.tile(given, (S, 1)) if given.ndim == 1 else given
    if counts.ndim != 2 or len(counts) != S:
        raise InvalidGame(f"n_actions has shape {' x '.join(map(str, given.shape))}; expected N, or {S} x N")
    K = sum(prod(one) for one in np.maximum(counts, 0).tolist())
    if K * S > LARGEST:
        raise InvalidGame(f"the game has {K:,} joint pairs and {S:,} states", f"At most {LARGEST:,} draws are made.")
    few = min(whole_number("successors", successors, 1, InvalidGame), S)
    to = rng.permuted(np.tile(np.arange(S), (K, 1)), axis=1)[:, :few]
    P = sparse.csr_array((rng.dirichlet(np.ones(few), K).reshape(-1), (np.repeat(np.arange(K), few), to.reshape(-1))), shape=(K, S))
    return FiniteMarkovGame(counts, P, rng.random((counts.shape[1], K)), horizon, name="random Markov game")
