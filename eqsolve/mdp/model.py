"""Finite Markov decision processes as arrays over state-action pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import BoolArray, FloatArray, IntArray, check_shape, float_array, frozen, int_array, real_number, whole_number
from eqsolve.errors import UnknownName, unknown
from eqsolve.mdp.rectangular import expected_reward, pair_labels, pairs_of_arrays, pairs_of_matrices
from eqsolve.mdp.transition import SUM, InvalidMDP, Kernel, checked_kernels

__all__ = ["SUM", "FiniteMDP", "InvalidMDP", "Kernel", "available_actions"]


@dataclass(frozen=True, slots=True, eq=False)
class FiniteMDP:
    r"""A finite Markov decision process, discounted or with a finite horizon.

    .. math:: v^\pi = \mathbb{E}\Big[ \sum_{h} \gamma^h\, r_h(s_h, a_h) + \gamma^H v_{\text{end}}(s_H) \Big],
              \qquad s_{h+1} \sim P_h(\cdot \mid s_h, a_h)

    States s of S have their own numbers of actions. The K state-action pairs are numbered state by state: state s owns the
    pairs ``first[s]`` to ``first[s + 1] - 1``, in the order of its actions.

    Parameters
    ----------
    n_actions : (S,) number of actions of each state, at least 1.
    transition : (K, S) one distribution over next states per pair, dense or scipy sparse; with a horizon also a sequence of H of
        them, one per step. Rows sum to 1 within 1e-9.
    reward : (K,) expected reward of each pair; with a horizon also (H, K). A scipy sparse matrix (K, S) holds rewards that depend
        on the next state too, and is averaged.
    gamma : discount in [0, 1); with a horizon in [0, 1], and 1 when left out.
    horizon : number of steps H, or None for the discounted process without end.
    initial : (S,) distribution of the first state, or the number or label of that state; uniform when left out.
    terminal : (S,) value of the state after the last step, with a horizon; 0 when left out.
    states, actions : labels: one per state; one per pair, or one per action where all states have the same actions.

    Raises
    ------
    InvalidMDP : an array of the wrong shape or not finite, a state without actions, a negative probability, a row that does not
        sum to 1 (the first offending index and its sum), gamma out of range, an initial state that does not exist.

    Examples
    --------
    >>> import numpy as np
    >>> mdp = FiniteMDP([2, 1], [[1, 0], [0, 1], [0, 1]], [5.0, 10.0, -1.0], gamma=0.9)
    >>> mdp
    <FiniteMDP 'mdp': 2 states, 3 state-action pairs, discount 0.9, dense>
    """

    n_actions: IntArray
    transition: tuple[Kernel, ...]
    reward: FloatArray
    gamma: float
    horizon: int | None
    initial: FloatArray
    terminal: FloatArray
    name: str
    states: tuple[str, ...]
    actions: tuple[str, ...]
    first: IntArray = field(init=False)
    """(S + 1,) the first pair of each state, and K."""

    def __init__(
        self,
        n_actions: npt.ArrayLike,
        transition: Any,
        reward: npt.ArrayLike,
        gamma: float | None = None,
        *,
        horizon: int | None = None,
        initial: npt.ArrayLike | None = None,
        terminal: npt.ArrayLike | None = None,
        name: str = "mdp",
        states: Sequence[str] = (),
        actions: Sequence[str] = (),
    ) -> None:
        put = object.__setattr__
        counts = _counts(n_actions)
        S, K = len(counts), int(counts.sum())
        put(self, "n_actions", counts)
        put(self, "first", frozen(np.concatenate(([0], np.cumsum(counts)))))
        put(self, "horizon", None if horizon is None else whole_number("horizon", horizon, 1, InvalidMDP))
        put(self, "gamma", _discount(gamma, self.horizon))
        put(self, "name", str(name))
        put(self, "states", _labels("states", states, S))
        put(self, "actions", _pair_labels(actions, counts))
        put(self, "transition", checked_kernels(transition, (K, S), self.horizon, self.first))
        put(self, "reward", self._rewards(expected_reward(reward, self.transition) if sparse.issparse(reward) else reward))
        put(self, "initial", self._distribution(initial))
        if terminal is not None and self.horizon is None:
            raise InvalidMDP("terminal values are given, but there is no horizon", "Give horizon=H, or leave terminal out.")
        put(self, "terminal", float_array("terminal", 0.0 if terminal is None else terminal, (S,), error=InvalidMDP))

    @classmethod
    def from_arrays(
        cls, transition: npt.ArrayLike, reward: npt.ArrayLike, gamma: float | None = None, *, available: Any = None, **more: Any
    ) -> FiniteMDP:
        """From rectangular arrays with the axes (state, action, next state).

        Parameters
        ----------
        transition : (S, A, S), or (H, S, A, S) with a horizon.
        reward : (S, A), (S,) or (S, A, S) for a reward that depends on the next state too; with a leading axis H as well
            when a horizon is given. Of pairs that are not available anything may stand there, NaN included.
        available : (S, A) truth values; everything when left out.
        more : further parameters of ``FiniteMDP``.

        Raises
        ------
        InvalidMDP : as ``FiniteMDP``.
        """
        counts, kernels, r, mask = pairs_of_arrays(transition, reward, available, more.get("horizon"))
        return cls(counts, kernels, r, gamma, **{**more, "actions": pair_labels(more.get("actions", ()), mask)})

    @classmethod
    def from_matrices(
        cls, transition: Sequence[Any], reward: Any, gamma: float | None = None, *, available: Any = None, **more: Any
    ) -> FiniteMDP:
        """From one matrix (S, S) per action, scipy sparse or dense; the kernel is sparse and never made dense.

        Parameters
        ----------
        transition : A matrices (S, S). Rows of pairs that are not available may hold anything, also nothing.
        reward : (S, A), (S,), or A sparse matrices (S, S) for a reward that depends on the next state too.
        available : (S, A) truth values; everything when left out.
        more : further parameters of ``FiniteMDP``.

        Raises
        ------
        InvalidMDP : as ``FiniteMDP``.

        Examples
        --------
        >>> from scipy import sparse
        >>> stay, swap = sparse.eye_array(2), sparse.csr_array([[0, 1], [1, 0]])
        >>> FiniteMDP.from_matrices([stay, swap], [[0, 1], [2, 0]], 0.5)
        <FiniteMDP 'mdp': 2 states, 4 state-action pairs, discount 0.5, sparse>
        """
        counts, kernel, r, mask = pairs_of_matrices(transition, reward, available)
        return cls(counts, kernel, r, gamma, **{**more, "actions": pair_labels(more.get("actions", ()), mask)})

    def parts(self) -> dict[str, Any]:
        """What the constructor takes, for files."""
        names = ("n_actions", "reward", "gamma", "horizon", "initial", "name", "states", "actions")
        kernels = self.transition if len(self.transition) > 1 else self.transition[0]
        terminal = None if self.horizon is None else self.terminal
        return {name: getattr(self, name) for name in names} | {"transition": kernels, "terminal": terminal}

    @property
    def n_states(self) -> int:
        """S."""
        return len(self.n_actions)

    @property
    def n_pairs(self) -> int:
        """K, the number of state-action pairs."""
        return int(self.first[-1])

    @property
    def n_steps(self) -> int:
        """The number of steps to plan for: H, or 1 (the same step for ever)."""
        return self.horizon or 1

    @property
    def owner(self) -> IntArray:
        """(K,) the state of each pair."""
        return np.repeat(np.arange(self.n_states), self.n_actions)

    @property
    def is_sparse(self) -> bool:
        """Whether the kernels are sparse matrices."""
        return bool(sparse.issparse(self.transition[0]))

    def kernel(self, step: int = 0) -> Kernel:
        """(K, S) the transition probabilities of a step."""
        return self.transition[step if len(self.transition) > 1 else 0]

    def reward_at(self, step: int = 0) -> FloatArray:
        """(K,) the rewards of a step."""
        return self.reward[step] if self.reward.ndim == 2 else self.reward

    def state_of(self, pair: int) -> int:
        """The state that owns a pair."""
        return int(np.searchsorted(self.first, pair, side="right")) - 1

    def state_label(self, s: int) -> str:
        """The name of a state, or its number."""
        return self.states[s] if self.states else str(s)

    def action_label(self, pair: int) -> str:
        """The name of the action of a pair, or its number within its state."""
        return self.actions[pair] if self.actions else str(pair - int(self.first[self.state_of(pair)]))

    def state_number(self, state: int | str) -> int:
        """The number of a state given by number or label.

        Raises
        ------
        UnknownName : there is no such state.
        InvalidMDP : neither text nor a whole number.
        """
        if isinstance(state, str):
            if state in self.states:
                return self.states.index(state)
            raise unknown("state", state, self.states)
        number = whole_number("state", state, -(2**63), InvalidMDP)
        if not 0 <= number < self.n_states:
            raise UnknownName(f"there is no state {state}", f"The states are 0 to {self.n_states - 1}.")
        return number

    def policy_shape(self) -> tuple[int, ...]:
        """(K,) without a horizon, (H, K) with one."""
        return (self.n_pairs,) if self.horizon is None else (self.horizon, self.n_pairs)

    def deterministic(self, choice: npt.ArrayLike) -> FloatArray:
        """The policy that plays one action number per state: (S,), with a horizon also (H, S).

        Raises
        ------
        InvalidMDP : an action that the state does not have.
        """
        given = int_array("choice", choice, error=InvalidMDP)
        steps = self.horizon is not None and given.ndim == 2
        check_shape("choice", given, (self.horizon, self.n_states) if steps else (self.n_states,), InvalidMDP)
        wrong = (given < 0) | (given >= self.n_actions)
        if wrong.any():
            at = tuple(int(k) for k in np.argwhere(wrong)[0])
            raise InvalidMDP(f"choice{list(at)} is {given[at]}; state {at[-1]} has {self.n_actions[at[-1]]} actions")
        policy = np.zeros(self.policy_shape())
        np.put_along_axis(policy, np.broadcast_to(self.first[:-1] + given, (*policy.shape[:-1], self.n_states)), 1.0, axis=-1)
        return policy

    def uniform_policy(self) -> FloatArray:
        """The policy that plays every action of a state equally often."""
        return np.broadcast_to(np.repeat(1.0 / self.n_actions, self.n_actions), self.policy_shape()).copy()

    def check_policy(self, policy: npt.ArrayLike) -> FloatArray:
        """A policy as an array of probabilities: (K,), or (H, K); with a horizon (K,) stands for the same at every step.

        Raises
        ------
        InvalidMDP : of another shape, negative, or the actions of a state do not sum to 1 within 1e-9.
        """
        shape = self.policy_shape()
        checked = float_array("policy", policy, error=InvalidMDP)
        if self.horizon is not None and checked.ndim == 1:
            checked = np.broadcast_to(float_array("policy", checked, shape[1:], error=InvalidMDP), shape)
        check_shape("policy", checked, shape, InvalidMDP)
        if checked.min() < 0:
            at = tuple(int(k) for k in np.argwhere(checked < 0)[0])
            raise InvalidMDP(f"policy{list(at)} is {checked[at]:g}, a negative probability")
        total = np.add.reduceat(checked, self.first[:-1], axis=-1)
        wrong = np.abs(total - 1.0) > SUM
        if wrong.any():
            at = tuple(int(k) for k in np.argwhere(wrong)[0])
            where = f"state {self.state_label(at[-1])}" + (f", step {at[0]}" if len(at) == 2 else "")
            raise InvalidMDP(f"the policy at {where} sums to {total[at]:.12g}, not 1")
        return checked

    def with_reward(self, reward: npt.ArrayLike) -> FiniteMDP:
        """The same process with other rewards: (K,) or (H, K). Kernels are shared, not checked again."""
        return self._with("reward", self._rewards(reward))

    def with_initial(self, initial: npt.ArrayLike | str) -> FiniteMDP:
        """The same process from another first state or distribution (S,). Kernels are shared, not checked again."""
        return self._with("initial", self._distribution(initial))

    def _with(self, changed: str, value: FloatArray) -> FiniteMDP:
        new = object.__new__(FiniteMDP)
        for part in ("n_actions", "transition", "reward", "gamma", "horizon", "initial", "terminal", "name", "states", "actions"):
            object.__setattr__(new, part, getattr(self, part))
        object.__setattr__(new, "first", self.first)
        object.__setattr__(new, changed, value)
        return new

    def _rewards(self, given: Any) -> FloatArray:
        array = float_array("reward", given, error=InvalidMDP)
        steps = array.ndim == 2 and self.horizon is not None
        return float_array("reward", array, (self.horizon, self.n_pairs) if steps else (self.n_pairs,), error=InvalidMDP)

    def _distribution(self, given: Any) -> FloatArray:
        S = self.n_states
        if given is None:
            return frozen(np.full(S, 1.0 / S))
        if isinstance(given, str) or np.ndim(given) == 0:
            return frozen(np.eye(1, S, self.state_number(given))[0])
        mu = float_array("initial", given, (S,), error=InvalidMDP)
        if mu.min() < 0:
            s = int(np.argmax(mu < 0))
            raise InvalidMDP(f"initial[{s}] is {mu[s]:g}, a negative probability")
        if abs(mu.sum() - 1.0) > SUM:
            raise InvalidMDP(f"initial sums to {mu.sum():.12g}, not 1")
        return mu

    def __repr__(self) -> str:
        length = f"discount {self.gamma:g}" if self.horizon is None else f"horizon {self.horizon}"
        form = "sparse" if self.is_sparse else "dense"
        return f"<FiniteMDP {self.name!r}: {self.n_states:,} states, {self.n_pairs:,} state-action pairs, {length}, {form}>"


def available_actions(mdp: FiniteMDP) -> BoolArray:
    """(S, A) which actions each state has, A being the largest number of them."""
    mask: BoolArray = np.arange(int(mdp.n_actions.max())) < mdp.n_actions[:, None]
    return mask


def _discount(gamma: float | None, horizon: int | None) -> float:
    if gamma is None:
        if horizon is None:
            raise InvalidMDP("neither gamma nor a horizon is given", "Give gamma in [0, 1), or horizon=H.")
        return 1.0
    checked = real_number("gamma", gamma, least=0.0, error=InvalidMDP)
    if checked > 1.0 or (checked == 1.0 and horizon is None):
        raise InvalidMDP(f"gamma is {checked:.12g}, not in [0, {'1]' if horizon else '1)'}", "Without discounting, give a horizon.")
    return checked


def _counts(given: Any) -> IntArray:
    if np.asarray(given).dtype == bool:
        raise InvalidMDP("n_actions holds truth values, not counts", "A mask (S, A) goes to from_arrays as 'available'.")
    counts = int_array("n_actions", given, (None,), error=InvalidMDP)
    if not counts.size:
        raise InvalidMDP("n_actions is empty: there are no states")
    if counts.min() < 1:
        s = int(np.argmax(counts < 1))
        raise InvalidMDP(f"state {s} has {counts[s]} actions", "Every state needs one; an absorbing state has 'stay', reward 0.")
    if counts.sum(dtype=np.float64) >= 2.0**53:
        raise InvalidMDP(f"n_actions adds up to {counts.sum(dtype=np.float64):.3g} state-action pairs, too many to number")
    return counts


def _labels(what: str, given: Sequence[str], size: int) -> tuple[str, ...]:
    labels = _texts(what, given)
    if labels and len(labels) != size:
        raise InvalidMDP(f"{what} has {len(labels)} labels, expected {size}")
    if len(set(labels)) != len(labels) and what == "states":
        twice = next(one for one in labels if labels.count(one) > 1)
        raise InvalidMDP(f"two states are called {twice!r}")
    return labels


def _texts(what: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InvalidMDP(f"{what} is {given!r}, not a list of labels", "Leave it out for numbers.")
    return tuple(str(one) for one in given)


def _pair_labels(given: Sequence[str], counts: IntArray) -> tuple[str, ...]:
    labels = _texts("actions", given)
    if len(labels) == counts[0] and (counts == counts[0]).all():
        labels = labels * len(counts)
    return _labels("actions", labels, int(counts.sum()))
