"""Games of one global agent and n exchangeable local agents, who share one reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import (
    SUM,
    BoolArray,
    FloatArray,
    IntArray,
    check_shape,
    distinct_labels,
    float_array,
    frozen,
    int_array,
    real_number,
    whole_number,
)
from eqsolve.errors import InvalidData, InvalidGame
from eqsolve.mean_field.initial import InitialLaw
from eqsolve.mean_field.rewards import StochasticReward


@dataclass(frozen=True, slots=True, eq=False)
class GlobalLocalGame:
    r"""One global agent (state :math:`s_g`, action :math:`a_g`) and n local agents (:math:`s_i`, :math:`a_i`) of one team.

    .. math:: r(s, a) = r_g(s_g, a_g) + \frac1n \sum_{i=1}^n r_l(s_i, s_g, a_i), \qquad
              s_g' \sim P_g(\cdot \mid s_g, a_g), \quad s_i' \sim P_l(\cdot \mid s_i, s_g, a_i)

    with the current :math:`s_g` in :math:`P_l`. Rewards are discounted by gamma without end. The global agent sees its own state
    and the states of k sampled local agents; a local agent sees its own state and :math:`s_g`.

    Parameters
    ----------
    global_kernel : (G, A_g, G) transition probabilities :math:`P_g(s_g' \mid s_g, a_g)`; rows sum to 1 within 1e-9.
    local_kernel : (Z, G, A_l, Z) :math:`P_l(s_i' \mid s_i, s_g, a_i)`.
    global_reward : (G, A_g), in reward units. May be None where ``global_noise`` is given: its means.
    local_reward : (Z, G, A_l). May be None where ``local_noise`` is given.
    n : number of local agents, at least 1.
    gamma : discount in (0, 1).
    initial : law of the first states; when left out all states are equally likely and independent.
    global_available : (G, A_g) which actions a state of the global agent has; all when left out. What the tables hold for an action
        that is not available (any finite numbers) is replaced by staying, for reward 0.
    local_available : (Z, A_l) likewise.
    type_of : (Z,) the type of the agents that can be in a local state: agents keep their type for ever. One type when left out.
    global_noise, local_noise : stochastic rewards (G, A_g, M) and (Z, G, A_l, M), whose means are the rewards above.
    global_states, local_states, global_actions, local_actions : names; numbers when left out.
    name : of the game.

    Raises
    ------
    InvalidGame : a table of another shape or not finite, a negative probability, a distribution that does not sum to 1 (state and
        action are named), a state without actions, a transition from one type to another, gamma outside (0, 1), n below 1,
        rewards that are not the means of their noise, labels that do not fit.

    Notes
    -----
    Source: section 2 of the mean-field subsampling paper. Rewards there are positive (Assumption 2.2); here they need not be.

    Examples
    --------
    >>> import numpy as np
    >>> stay = np.eye(2)[:, None, None, :]
    >>> print(describe(GlobalLocalGame(np.ones((1, 1, 1)), stay, [[1.0]], np.zeros((2, 1, 1)), n=10, gamma=0.9)))
    10 local agents of 2 states and 1 action, 1 global state and 1 action, discount 0.9
    """

    global_kernel: FloatArray
    local_kernel: FloatArray
    global_reward: FloatArray
    local_reward: FloatArray
    n: int
    gamma: float
    initial: InitialLaw = None  # type: ignore[assignment]  # made below; None is only what the caller leaves out
    global_available: BoolArray = None  # type: ignore[assignment]
    local_available: BoolArray = None  # type: ignore[assignment]
    type_of: IntArray = None  # type: ignore[assignment]
    global_noise: StochasticReward | None = None
    local_noise: StochasticReward | None = None
    global_states: Sequence[str] = ()
    local_states: Sequence[str] = ()
    global_actions: Sequence[str] = ()
    local_actions: Sequence[str] = ()
    name: str = "mean-field game"

    def __post_init__(self) -> None:
        put = object.__setattr__
        G, Ag, Z, Al = _sizes(self.global_kernel, self.local_kernel)
        put(self, "n", whole_number("n", self.n, 1, InvalidGame))
        put(self, "gamma", real_number("gamma", self.gamma, above=0.0, below=1.0, error=InvalidGame))
        lengths = {"global_states": G, "local_states": Z, "global_actions": Ag, "local_actions": Al}
        for part, length in lengths.items():
            put(self, part, distinct_labels(part, getattr(self, part), length, InvalidGame))
        put(self, "name", str(self.name))
        put(self, "global_available", _available("global_available", self.global_available, (G, Ag)))
        put(self, "local_available", _available("local_available", self.local_available, (Z, Al)))
        local_here = np.broadcast_to(self.local_available[:, None, :], (Z, G, Al))
        put(self, "global_kernel", self._kernel("global_kernel", (G, Ag, G), self.global_available))
        put(self, "local_kernel", self._kernel("local_kernel", (Z, G, Al, Z), local_here))
        for side, shape, here in (("global", (G, Ag), self.global_available), ("local", (Z, G, Al), local_here)):
            noise, mean = _rewards(side, getattr(self, f"{side}_reward"), getattr(self, f"{side}_noise"), shape, here)
            put(self, f"{side}_noise", noise)
            put(self, f"{side}_reward", mean)
        put(self, "type_of", self._types())
        law: Any = self.initial
        if law is None:
            law = InitialLaw(np.full(G, 1.0 / G), "iid", np.full(Z, 1.0 / Z))
        if not isinstance(law, InitialLaw):
            raise InvalidGame(f"initial is {law!r}, not an InitialLaw")
        law.check(G, Z, self.n)
        put(self, "initial", law)

    @property
    def n_global_states(self) -> int:
        """G."""
        return int(self.global_kernel.shape[0])

    @property
    def n_global_actions(self) -> int:
        """A_g."""
        return int(self.global_kernel.shape[1])

    @property
    def n_local_states(self) -> int:
        """Z."""
        return int(self.local_kernel.shape[0])

    @property
    def n_local_actions(self) -> int:
        """A_l."""
        return int(self.local_kernel.shape[2])

    @property
    def n_types(self) -> int:
        """How many types of local agents there are."""
        return int(self.type_of.max()) + 1

    @property
    def global_reward_range(self) -> tuple[float, float]:
        """Least and largest expected :math:`r_g` over available actions."""
        here = self.global_reward[self.global_available]
        return float(here.min()), float(here.max())

    @property
    def local_reward_range(self) -> tuple[float, float]:
        """Least and largest expected :math:`r_l` over available actions."""
        here = self.local_reward.transpose(0, 2, 1)[self.local_available]
        return float(here.min()), float(here.max())

    @property
    def reward_range(self) -> tuple[float, float]:
        """Bounds of the expected reward r of one step, the sums of the two ranges."""
        (a, b), (c, d) = self.global_reward_range, self.local_reward_range
        return a + c, b + d

    @property
    def reward_bound(self) -> float:
        r""":math:`\tilde r = \max |r_g| + \max |r_l|` of Assumption 2.2; over what may be paid, where rewards are stochastic."""
        return sum(
            max(map(abs, found if noise is None else (noise.low, noise.high)))
            for noise, found in ((self.global_noise, self.global_reward_range), (self.local_noise, self.local_reward_range))
        )

    @property
    def value_span(self) -> float:
        """(high - low) / (1 - gamma) of the reward range, the most by which two values can differ."""
        low, high = self.reward_range
        return (high - low) / (1.0 - self.gamma)

    @property
    def has_positive_rewards(self) -> bool:
        """Whether no component of the reward is negative, as Assumption 2.2 and Lemma B.4 of the paper want."""
        ranges = ((self.global_noise, self.global_reward_range), (self.local_noise, self.local_reward_range))
        return all((found[0] if noise is None else noise.low) >= 0.0 for noise, found in ranges)

    def local_rows(self, local_policy: npt.ArrayLike) -> FloatArray:
        r"""(G, Z, Z) how a local agent moves under a policy: :math:`\sum_a \pi_l(a \mid s, s_g) P_l(s' \mid s, s_g, a)`."""
        policy = self.check_local(local_policy)
        return np.asarray(np.einsum("gza,zgas->gzs", policy, self.local_kernel))

    def local_payoff(self, local_policy: npt.ArrayLike) -> FloatArray:
        r"""(G, Z) what a local agent earns under a policy: :math:`\sum_a \pi_l(a \mid s, s_g) r_l(s, s_g, a)`."""
        policy = self.check_local(local_policy)
        return np.asarray(np.einsum("gza,zga->gz", policy, self.local_reward))

    def uniform_local(self) -> FloatArray:
        """(G, Z, A_l) the local policy that plays all available actions equally often."""
        shares = self.local_available / self.local_available.sum(axis=1, keepdims=True)
        return np.tile(shares, (self.n_global_states, 1, 1))

    def deterministic_local(self, choice: npt.ArrayLike) -> FloatArray:
        """(G, Z, A_l) the local policy that plays one action per pair of states, given as (G, Z) numbers.

        Raises
        ------
        InvalidData : an action that the state does not have.
        """
        played = int_array("choice", choice, (self.n_global_states, self.n_local_states))
        wrong = (played < 0) | (played >= self.n_local_actions)
        wrong |= ~self.local_available[np.arange(self.n_local_states), np.where(wrong, 0, played)]
        if wrong.any():
            g, z = (int(k) for k in np.argwhere(wrong)[0])
            raise InvalidData(f"choice[{g}, {z}] is {played[g, z]}, an action that {self.local_label(z)} does not have")
        return np.asarray(np.eye(self.n_local_actions)[played])

    def check_local(self, local_policy: npt.ArrayLike, error: type[InvalidData] = InvalidData) -> FloatArray:
        """A local policy (G, Z, A_l) as an array of probabilities.

        Raises
        ------
        error : of another game (shape), negative, a row that is empty or does not sum to 1, an action that is not available.
        """
        policy = float_array(
            "local_policy", local_policy, (self.n_global_states, self.n_local_states, self.n_local_actions), error=error
        )
        check_rows("local_policy", policy, error)
        away = (policy > 0) & ~self.local_available
        if away.any():
            g, z, a = (int(k) for k in np.argwhere(away)[0])
            raise error(f"local_policy[{g}, {z}, {a}] is {policy[g, z, a]:g}, and {self.local_label(z)} does not have that action")
        return policy

    def with_n(self, n: int) -> GlobalLocalGame:
        """The game with another number of local agents.

        Raises
        ------
        InvalidGame : the initial law counts the agents of this one.
        """
        return replace(self, n=n)

    def global_label(self, s: int) -> str:
        """The name of a state of the global agent, or its number."""
        return self.global_states[s] if self.global_states else str(s)

    def local_label(self, z: int) -> str:
        """The name of a local state, or ``local state 0``."""
        return self.local_states[z] if self.local_states else f"local state {z}"

    def _kernel(self, part: str, shape: tuple[int, ...], here: BoolArray) -> FloatArray:
        given = float_array(part, getattr(self, part), shape, error=InvalidGame)
        kernel = given if here.all() else frozen(np.where(here[..., None], given, _staying(shape)))
        check_rows(part, kernel, InvalidGame)
        return kernel

    def _types(self) -> IntArray:
        Z = self.n_local_states
        given: Any = self.type_of
        if given is None:
            return frozen(np.zeros(Z, dtype=np.int64))
        types = int_array("type_of", given, (Z,), error=InvalidGame)
        if set(types.tolist()) != set(range(int(types.max()) + 1)):
            raise InvalidGame(f"type_of is {types.tolist()}", "Number the types 0, 1, 2 ... and give each at least one state.")
        mixed = (self.local_kernel > 0) & (types[:, None] != types)[:, None, None, :]
        if mixed.any():
            z, g, a, to = (int(k) for k in np.argwhere(mixed)[0])
            chance = self.local_kernel[z, g, a, to]
            raise InvalidGame(
                f"local_kernel[{z}, {g}, {a}, {to}] is {chance:g}: from type {types[z]} to type {types[to]}",
                "Agents keep their type for ever.",
            )
        return types

    def __repr__(self) -> str:
        return f"<GlobalLocalGame {self.name!r}: {describe(self)}>"


def describe(game: GlobalLocalGame) -> str:
    """Its size in words."""
    types = f" of {game.n_types} types" if game.n_types > 1 else ""
    agents = f"{game.n:,} local {'agent' if game.n == 1 else 'agents'}{types}"
    local = f"{_some(game.n_local_states, 'state')} and {_some(game.n_local_actions, 'action')}"
    same = game.n_global_states == game.n_global_actions and game.n_global_states > 1
    ours = f"{game.n_global_states} global states and actions"
    if not same:
        ours = f"{_some(game.n_global_states, 'global state')} and {_some(game.n_global_actions, 'action')}"
    return f"{agents} {'with' if types else 'of'} {local}, {ours}, discount {game.gamma:g}"


def check_rows(name: str, rows: FloatArray, error: type[InvalidData]) -> None:
    """Refuse rows (..., A) that are no distributions: negative, empty, or of another sum; the first one is named."""
    if rows.size and rows.min() < 0:
        at = tuple(int(k) for k in np.argwhere(rows < 0)[0])
        raise error(f"{name}{list(at)} is {rows[at]:g}, a negative probability")
    total = rows.sum(axis=-1)
    wrong = np.abs(total - 1.0) > SUM
    if wrong.any():
        at = tuple(int(k) for k in np.argwhere(wrong)[0])
        what = "is empty: all its probabilities are 0" if not rows[at].any() else f"sums to {total[at]:.12g}, not 1"
        raise error(f"{name}{list(at)} {what}", f"{int(wrong.sum())} of {total.size} rows fail, this one is the first.")


def _sizes(global_kernel: Any, local_kernel: Any) -> tuple[int, int, int, int]:
    first = float_array("global_kernel", global_kernel, (None,) * 3, error=InvalidGame)
    second = float_array("local_kernel", local_kernel, (None,) * 4, error=InvalidGame)
    G, Ag, Z, Al = *first.shape[:2], second.shape[0], second.shape[2]
    if 0 in (G, Ag, Z, Al):
        raise InvalidGame(f"there are {G} and {Z} states, {Ag} and {Al} actions", "Both sides need a state and an action.")
    check_shape("global_kernel", first, (G, Ag, G), InvalidGame)
    check_shape("local_kernel", second, (Z, G, Al, Z), InvalidGame)
    return G, Ag, Z, Al


def _staying(shape: tuple[int, ...]) -> FloatArray:
    """The kernel that stays; the state is the first axis."""
    side = shape[-1]
    return np.broadcast_to(np.eye(side).reshape(side, *(1,) * (len(shape) - 2), side), shape)


def _available(name: str, given: Any, shape: tuple[int, int]) -> BoolArray:
    if given is None:
        return frozen(np.ones(shape, dtype=np.bool_))
    numbers = float_array(name, given, shape, error=InvalidGame)
    if not np.isin(numbers, (0.0, 1.0)).all():
        at = tuple(int(k) for k in np.argwhere(~np.isin(numbers, (0.0, 1.0)))[0])
        raise InvalidGame(f"{name}{list(at)} is {numbers[at]:g}, not a truth value")
    here: BoolArray = numbers == 1.0
    if not here.any(axis=1).all():
        raise InvalidGame(f"{name}[{int(np.argmin(here.any(axis=1)))}] is False throughout", "Every state needs an action.")
    return frozen(here)


def _rewards(
    side: str, mean: Any, noise: Any, shape: tuple[int, ...], here: BoolArray
) -> tuple[StochasticReward | None, FloatArray]:
    """The noise and the mean rewards, 0 where an action is not available."""
    name = f"{side}_reward"
    if noise is None:
        given = float_array(name, mean, shape, error=InvalidGame)
        return None, frozen(np.where(here, given, 0.0))
    if not isinstance(noise, StochasticReward):
        raise InvalidGame(f"{side}_noise is {noise!r}, not a StochasticReward")
    check_shape(f"{side}_noise.values", noise.values, (*shape, None), InvalidGame)
    expected = np.where(here, noise.mean, 0.0)
    if mean is not None:
        given = float_array(name, mean, shape, error=InvalidGame)
        wrong = here & (np.abs(given - noise.mean) > SUM * (1.0 + np.abs(given)))
        if wrong.any():
            at = tuple(int(k) for k in np.argwhere(wrong)[0])
            raise InvalidGame(
                f"{name}{list(at)} is {given[at]:.12g}, and the mean of {side}_noise is {noise.mean[at]:.12g}",
                "Leave the reward out: it is the mean of the noise.",
            )
    return noise, frozen(expected)


def _some(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
