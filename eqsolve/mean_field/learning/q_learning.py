"""Off-policy Q-learning of the k-surrogate from one trajectory of a behaviour policy (Appendix E)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import BoolArray, FloatArray, IntArray, check_shape, float_array, frozen, int_array, real_number, whole_number
from eqsolve.driver import Algorithm, Record, Run, Status
from eqsolve.errors import InvalidData, unknown
from eqsolve.mean_field.game import GlobalLocalGame, check_rows
from eqsolve.mean_field.histograms import Histograms, affordable, size
from eqsolve.mean_field.learning.stepping import run_alone
from eqsolve.mean_field.policy import SubsampledPolicy

Rule: TypeAlias = Literal["visits", "constant"]
RULES: tuple[Rule, ...] = ("visits", "constant")
COMPILE_FROM = 20_000
"""Transitions of a chunk times agents from which the compiled loops serve it; below, loading the compiler takes longer."""


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """One trajectory of the global agent and of k local agents, as historical data hold it.

    Parameters
    ----------
    worlds : (T + 1,) states of the global agent. places : (T + 1,) numbers of the histograms, in the order of ``Histograms(k, Z)``.
    actions : (T,) of the global agent. rewards : (T,) of the k agents, r_g plus the mean of their r_l.
    """

    worlds: IntArray
    places: IntArray
    actions: IntArray
    rewards: FloatArray

    def __post_init__(self) -> None:
        put = object.__setattr__
        actions = int_array("actions", self.actions, (None,))
        put(self, "actions", actions)
        put(self, "rewards", float_array("rewards", self.rewards, (len(actions),)))
        for name in ("worlds", "places"):
            put(self, name, int_array(name, getattr(self, name), (len(actions) + 1,)))


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """How well a trajectory covers state and actions, which is what Assumption E.1 is about.

    Parameters
    ----------
    visits : (G, N_k, A_g). available : (G, A_g).
    """

    visits: IntArray
    available: BoolArray

    @property
    def pairs(self) -> int:
        """How many triples of state, histogram and available action there are."""
        return int(self.available.sum()) * int(self.visits.shape[1])

    @property
    def missed(self) -> int:
        """How many of them never occurred."""
        return int(((self.visits == 0) & self.available[:, None, :]).sum())

    @property
    def least(self) -> int:
        """The fewest visits of one of them."""
        return int(self.visits.transpose(0, 2, 1)[self.available].min())

    def __str__(self) -> str:
        seen = self.pairs - self.missed
        return f"{seen:,} of {self.pairs:,} pairs seen ({100 * seen / self.pairs:.1f}%), at least {self.least:,} times each"


@dataclass(frozen=True, slots=True, eq=False)
class QState:
    """Where learning stands.

    Parameters
    ----------
    q : (G, N_k, A_g) estimates. visits : (G, N_k, A_g). time : transitions so far.
    world, place, agents : the state of the trajectory: global state, histogram, and the k local states (k,).
    """

    q: FloatArray
    visits: IntArray
    time: int
    world: int
    place: int
    agents: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class QLearning(Algorithm[GlobalLocalGame, QState, SubsampledPolicy]):
    r"""Q-learning of the best global policy against a fixed local one, from one trajectory of k agents.

    .. math:: Q(s_g, d, a) \leftarrow (1 - \alpha_t)\, Q(s_g, d, a)
              + \alpha_t \Big( r_\Delta + \gamma \max_{a'} Q(s_g', d', a') \Big), \qquad
              r_\Delta = r_g(s_g, a) + \frac1k \sum_{i \in \Delta} r_l^{\pi_l}(s_i, s_g)

    Eq. 46 of the paper pays the reward of all n agents, which is no function of what is learned about: its target is the
    k-surrogate only with :math:`r_\Delta` in its place, which this takes. The k agents are the same all the time; given the global
    state they move by themselves, so that what they do is the k-surrogate. Where agents are of several types, they stay of
    theirs: histograms of other types never occur, and Assumption E.1 does not hold.

    Parameters
    ----------
    k : local agents. local_policy : (G, Z, A_l), uniform when left out.
    behaviour : (G, N_k, A_g) the policy that plays, every available action with positive probability; uniform when left out.
    steps : transitions in all. chunk : per step of the run.
    rule : ``"visits"``: alpha / visits^power, the first visit of a pair taking alpha; it converges with probability 1 for powers in
        (1/2, 1]. ``"constant"``: alpha, as in Theorem E.4; then an error of the order of alpha stays.
    alpha : in (0, 1]. power : in (1/2, 1].

    Raises
    ------
    InvalidData : a parameter out of range. UnknownName : an unknown rule.
    """

    k: int = 1
    local_policy: FloatArray | None = None
    behaviour: FloatArray | None = None
    steps: int = 1_000_000
    chunk: int = 50_000
    rule: Rule = "visits"
    alpha: float = 1.0
    power: float = 0.7

    def __post_init__(self) -> None:
        put = object.__setattr__
        for name in ("k", "steps", "chunk"):
            put(self, name, whole_number(name, getattr(self, name), 1))
        if self.rule not in RULES:
            raise unknown("rule", self.rule, RULES)
        put(self, "alpha", _at_most_one("alpha", self.alpha, 0.0))
        put(self, "power", _at_most_one("power", self.power, 0.5))
        for name in ("local_policy", "behaviour"):
            if getattr(self, name) is not None:
                put(self, name, float_array(name, getattr(self, name), (None, None, None)))

    def init(self, game: GlobalLocalGame, run: Run) -> QState:
        """Nothing learned, the agents at a draw of the initial law.

        Raises
        ------
        InvalidData : k > n, more histograms than memory holds, a policy of another game, a behaviour policy that never plays an
            available action.
        """
        run.derived("system", lambda: _System.of(game, self))
        world, counts = game.initial.sample(np.random.default_rng([run.seed, 2**32]), 1, game.n)
        rng = np.random.default_rng([run.seed, 2**32, 1])
        seen = rng.multivariate_hypergeometric(counts[0], self.k)
        place = int(Histograms(self.k, game.n_local_states).rank(seen))
        shape = (game.n_global_states, size(self.k, game.n_local_states), game.n_global_actions)
        agents = np.repeat(np.arange(game.n_local_states), seen)
        return QState(np.zeros(shape), np.zeros(shape, dtype=np.int64), 0, int(world[0]), place, agents)

    def step(self, game: GlobalLocalGame, state: QState, run: Run) -> tuple[QState, Record]:
        """One chunk of the trajectory, learned from."""
        system = run.derived("system", lambda: _System.of(game, self))
        count = min(self.chunk, self.steps - state.time)
        seen, state = system.follow(state, count, run.rng())
        q, visits = state.q.copy(), state.visits.copy()
        change = _loops(count * self.k).update(
            q, visits, seen.worlds, seen.places, seen.actions, seen.rewards, system.closed, game.gamma, self.alpha, self._power
        )
        state = replace(state, q=q, visits=visits, time=state.time + count)
        missed = Coverage(visits, game.global_available).missed
        return state, {"time": state.time, "change": float(change) / count, "missed": missed}

    @property
    def _power(self) -> float:
        return self.power if self.rule == "visits" else 0.0

    def done(self, game: GlobalLocalGame, state: QState) -> Status | None:
        """After so many transitions."""
        return Status.CONVERGED if state.time >= self.steps else None

    def finish(self, game: GlobalLocalGame, state: QState, run: Run) -> SubsampledPolicy:
        """The greedy policy of the estimates, ties to the first action; its hint are the estimates, which are no value of it."""
        q = np.where(game.global_available[:, None, :], state.q, -np.inf)
        local = game.uniform_local() if self.local_policy is None else self.local_policy
        return SubsampledPolicy(self.k, np.argmax(q, axis=2), local, hint=q.max(axis=2))


@dataclass(frozen=True, slots=True, eq=False)
class QAnswer:
    """What Q-learning gave.

    Parameters
    ----------
    policy : greedy in ``q``, (G, N_k, A_g). coverage : of the trajectory. state : to go on from.
    """

    policy: SubsampledPolicy
    q: FloatArray
    coverage: Coverage
    state: QState


def learn_global(game: GlobalLocalGame, method: QLearning, *, seed: int = 0) -> QAnswer:
    """Run Q-learning by itself; raises as ``QLearning.init``."""
    state, _, _ = run_alone(method, game, seed=seed)
    return _answer(game, method, state)


def learn_from(game: GlobalLocalGame, data: Trajectory, method: QLearning) -> QAnswer:
    """Q-learning from recorded data; of the game it takes numbers of states and actions and the discount, no rewards or kernels.

    Parameters
    ----------
    method : its k, local policy, rule and step sizes; ``steps``, ``chunk`` and ``behaviour`` play no part.

    Raises
    ------
    InvalidData : a state, histogram or action that does not exist; the first one is named.
    """
    shape = (game.n_global_states, size(method.k, game.n_local_states), game.n_global_actions)
    for name, limit in (("worlds", shape[0]), ("places", shape[1]), ("actions", shape[2])):
        given = getattr(data, name)
        wrong = (given < 0) | (given >= limit)
        if wrong.any():
            at = int(np.argmax(wrong))
            raise InvalidData(f"{name}[{at}] is {given[at]}", f"They are numbers from 0 to {limit - 1}.")
    taken = game.global_available[data.worlds[:-1], data.actions]
    if not taken.all():
        at = int(np.argmin(taken))
        raise InvalidData(f"actions[{at}] is {data.actions[at]}, which global state {data.worlds[at]} does not have")
    q, visits = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    T = len(data.actions)
    _loops(T).update(
        q, visits, data.worlds, data.places, data.actions, data.rewards, _closed(game), game.gamma, method.alpha, method._power
    )
    last = QState(q, visits, T, int(data.worlds[-1]), int(data.places[-1]), np.zeros(0, dtype=np.int64))
    return _answer(game, method, last)


def record(game: GlobalLocalGame, method: QLearning, steps: int, *, seed: int = 0) -> Trajectory:
    """A trajectory of ``method.behaviour`` with the k agents that it learns from; raises as ``QLearning.init``."""
    run = Run(seed=whole_number("seed", seed, 0))
    start = method.init(game, run)
    return _System.of(game, method).follow(start, whole_number("steps", steps, 1), run.rng())[0]


@dataclass(frozen=True, slots=True, eq=False)
class _System:
    """What the loops need: distribution functions, rewards, and where a histogram goes when one agent moves (Z, Z, N)."""

    acts: FloatArray
    world_moves: FloatArray
    local_moves: FloatArray
    global_reward: FloatArray
    payoff: FloatArray
    move: IntArray
    closed: FloatArray

    @staticmethod
    def of(game: GlobalLocalGame, method: QLearning) -> _System:
        """Of a game."""
        k, Z = whole_number("k", method.k, 1, most=game.n), game.n_local_states
        N = affordable(k, Z, Z * Z + 3 * game.n_global_states * game.n_global_actions, "numbers of Q-learning")
        local = game.uniform_local() if method.local_policy is None else game.check_local(method.local_policy)
        some = Histograms(k, Z)
        move = np.stack([np.stack([some.move(i, j) for j in range(Z)]) for i in range(Z)])
        acts = _edges(_behaviour(game, method.behaviour, N))
        rows, payoff = game.local_rows(local), some.mean(game.local_payoff(local))
        return _System(acts, _edges(game.global_kernel), _edges(rows), game.global_reward, payoff, move, _closed(game))

    def follow(self, state: QState, count: int, rng: np.random.Generator) -> tuple[Trajectory, QState]:
        """So many more transitions, and the state after them."""
        agents = state.agents.copy()
        worlds, places = np.empty(count + 1, dtype=np.int64), np.empty(count + 1, dtype=np.int64)
        actions, rewards = np.empty(count, dtype=np.int64), np.empty(count)
        worlds[0], places[0] = state.world, state.place
        u = rng.random((count, 2 + len(agents)))
        _loops(count * len(agents)).wander(
            worlds, places, actions, rewards, agents, u,
            self.acts, self.world_moves, self.local_moves, self.global_reward, self.payoff, self.move,
        )  # fmt: skip
        after = replace(state, world=int(worlds[-1]), place=int(places[-1]), agents=agents)
        return Trajectory(frozen(worlds), frozen(places), frozen(actions), frozen(rewards)), after


def wander(
    worlds: Any, places: Any, actions: Any, rewards: Any, agents: Any, u: Any,
    acts: Any, world_moves: Any, local_moves: Any, global_reward: Any, payoff: Any, move: Any,
) -> None:  # fmt: skip
    """Fill in a trajectory from its first state on: one column of ``u`` (T, 2 + k) for the action, the global state, each agent."""
    for t in range(len(actions)):
        g, h = worlds[t], places[t]
        a = 0
        while u[t, 0] >= acts[g, h, a]:
            a += 1
        to = 0
        while u[t, 1] >= world_moves[g, a, to]:
            to += 1
        actions[t], rewards[t], worlds[t + 1] = a, global_reward[g, a] + payoff[g, h], to
        for i in range(len(agents)):
            z, y = agents[i], 0
            while u[t, 2 + i] >= local_moves[g, z, y]:
                y += 1
            h = move[z, y, h]
            agents[i] = y
        places[t + 1] = h


def update(
    q: Any, visits: Any, worlds: Any, places: Any, actions: Any, rewards: Any, closed: Any, gamma: float, alpha: float, power: float
) -> float:
    """Learn from a trajectory in its order; power 0 is a constant step. The sum of absolute changes."""
    total = 0.0
    for t in range(len(actions)):
        g, h, a = worlds[t], places[t], actions[t]
        to, place = worlds[t + 1], places[t + 1]
        best = -np.inf
        for b in range(q.shape[2]):
            best = max(best, q[to, place, b] + closed[to, b])
        visits[g, h, a] += 1
        step = alpha / visits[g, h, a] ** power
        change = step * (rewards[t] + gamma * best - q[g, h, a])
        q[g, h, a] += change
        total += abs(change)
    return total


def _loops(work: int) -> Any:
    """The module whose ``wander`` and ``update`` serve so many steps."""
    if work >= COMPILE_FROM:
        from eqsolve.mean_field.learning import q_kernels as loops
    else:
        from eqsolve.mean_field.learning import q_learning as loops  # type: ignore[no-redef]  # the same functions, not compiled
    return loops


def _answer(game: GlobalLocalGame, method: QLearning, state: QState) -> QAnswer:
    policy = method.finish(game, state, Run())
    return QAnswer(policy, state.q, Coverage(state.visits, game.global_available), state)


def _behaviour(game: GlobalLocalGame, given: npt.ArrayLike | None, N: int) -> FloatArray:
    shares = game.global_available / game.global_available.sum(axis=1, keepdims=True)
    shape = (game.n_global_states, N, game.n_global_actions)
    if given is None:
        return np.broadcast_to(shares[:, None, :], shape)
    rows = float_array("behaviour", given)
    check_shape("behaviour", rows, shape)
    check_rows("behaviour", rows, InvalidData)
    wrong = (rows > 0) != game.global_available[:, None, :]
    if wrong.any():
        g, h, a = (int(one) for one in np.argwhere(wrong)[0])
        what = "an action that is not available" if rows[g, h, a] > 0 else "an available action that is never played"
        raise InvalidData(
            f"behaviour[{g}, {h}, {a}] is {rows[g, h, a]:g}: {what}", "Assumption E.1 wants all actions, and no others."
        )
    return rows


def _edges(rows: FloatArray) -> FloatArray:
    """Distribution functions, 2 from the last possible outcome on, so that no rounding leads beyond it."""
    possible = rows > 0
    last = rows.shape[-1] - 1 - np.argmax(possible[..., ::-1], axis=-1)
    return np.asarray(np.where(np.arange(rows.shape[-1]) >= last[..., None], 2.0, np.cumsum(rows, axis=-1)))


def _closed(game: GlobalLocalGame) -> FloatArray:
    """(G, A_g) 0, and minus infinity for actions that are not available."""
    return np.where(game.global_available, 0.0, -np.inf)


def _at_most_one(name: str, value: Any, above: float) -> float:
    found = real_number(name, value, above=above)
    if found > 1.0:
        raise InvalidData(f"{name} is {found:g}, more than 1", f"Give a number above {above:g} and at most 1.")
    return found
