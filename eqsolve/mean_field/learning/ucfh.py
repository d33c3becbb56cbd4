"""UCFH: optimistic learning of a process with a fixed horizon from episodes (Dann and Brunskill 2015)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, log, log2

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray, IntArray, real_number, whole_number
from eqsolve.backends import Limits
from eqsolve.driver import Algorithm, History, Record, Run, Status
from eqsolve.mdp import FiniteMDP, InvalidMDP, simulate
from eqsolve.mdp.dynamic_programming import MDPPolicy
from eqsolve.mean_field.learning.optimism import confidence_bounds, fixed_horizon_evi
from eqsolve.mean_field.learning.stepping import run_alone
from eqsolve.mean_field.programs import optimistic_program
from eqsolve.programs import Program

MOST = 2**62
"""No more samples than this are ever counted."""


@dataclass(frozen=True, slots=True)
class UCFHConstants:
    r"""The constants of UCFH for rewards in [0, 1].

    .. math:: w_{\min} = \frac{\epsilon}{4 H |S|}, \quad \delta_1 = \frac{\delta}{2 U C}, \quad
              m = \frac{512\, C H^2}{\epsilon^2} (\log_2 \log_2 H)^2 \ln^2 \frac{8 H^2 |S|^2}{\epsilon}
              \ln \frac{6 K C \log_2^2 (4 |S|^2 H^2 / \epsilon)}{\delta}

    Parameters
    ----------
    epsilon : accuracy of the total of H rewards in [0, 1], at most 1. successors : C, the most next states of a pair.
    samples : m. block : the first update of a pair takes so many samples, m w_min unless given; each later one doubles them.
    most : |S| m H, from which on a pair is not updated. updates : U, of all pairs. delta_1 : of one confidence set.
    """

    epsilon: float
    successors: int
    samples: float
    block: int
    most: int
    updates: int
    delta_1: float

    @staticmethod
    def of(mdp: FiniteMDP, epsilon: float, delta: float, block: int | None = None) -> UCFHConstants:
        r"""Those of a process with a horizon; :math:`\log_2 \log_2 H` is taken as 1 where it is less, which it is for H < 4."""
        S, K, H = mdp.n_states, mdp.n_pairs, mdp.n_steps
        C = int(np.diff(sparse.csr_array(mdp.kernel()).indptr).max())
        logs = max(1.0, log2(log2(H))) if H > 2 else 1.0
        m = 512.0 * logs**2 * C * H**2 / epsilon**2 * log(8 * H**2 * S**2 / epsilon) ** 2
        m *= log(6 * K * C * log2(4 * S**2 * H**2 / epsilon) ** 2 / delta)
        first = min(MOST, max(1, ceil(m * epsilon / (4 * H * S)))) if block is None else block
        most = max(first, min(MOST, ceil(S * m * H)))
        updates = K * (1 + ceil(log2(most / first)))
        return UCFHConstants(epsilon, C, m, first, most, updates, delta / (2 * updates * C))


@dataclass(frozen=True, slots=True, eq=False)
class UCFHState:
    """What has been learned.

    Parameters
    ----------
    counts : (K,) samples of each pair that the model rests on, counted : (E,) those that led to each of its successors.
    waiting, waited : (K,), (E,) those of the next update, so far.
    pairs : (H, S) the policy that is played. upper, lower : optimistic and pessimistic value of it, in reward units.
    episodes, phases : played, and planned anew.
    """

    counts: IntArray
    counted: IntArray
    waiting: IntArray
    waited: IntArray
    pairs: IntArray
    upper: float
    lower: float
    episodes: int
    phases: int


@dataclass(frozen=True, slots=True)
class UCFH(Algorithm[FiniteMDP, UCFHState, MDPPolicy]):
    r"""Upper confidence bounds for fixed horizons: plan in the best process that the samples allow, play, and plan again.

    The outer loop that the paper leaves out: the policy of FixedHorizonEVI is played until a pair has as many new samples as its
    next update takes; then that pair's confidence set is made anew, and the plan as well. It knows rewards and which
    successors are possible, and learns probabilities from episodes alone.

    With probability at least 1 - delta the true probabilities are in all confidence sets ever made. Then the optimal value is
    between the optimistic value and the pessimistic value of the policy, and the run ends when these are within ``accuracy``.
    (Theorem 1 of Dann and Brunskill only bounds how many episodes are played with worse policies; it does not say when to stop, nor
    which policy to keep.)

    Parameters
    ----------
    accuracy : of the value from the initial distribution, in reward units. delta : chance to be wrong, in (0, 1).
    episodes : the most that are played. batch : episodes per step, played with one policy; the paper's loop has 1.
    block : samples of the first update of a pair; m w_min of the theory when left out, which is very many. The confidence
        statement holds for every block, the theorem on the number of episodes only for that of the theory.

    Raises
    ------
    InvalidData : a parameter out of range.

    Notes
    -----
    Rewards of any range are scaled to [0, 1] step by step, discounts are taken into them. A sample beyond those that an update
    takes is dropped, so that sample sizes are fixed beforehand and one union bound over U sets holds; in the original a pair may
    come with more. Source: Dann and Brunskill (2015), Algorithm 1; Algorithm 6 of the mean-field subsampling paper.
    """

    accuracy: float = 0.1
    delta: float = 0.1
    episodes: int = 100_000
    batch: int = 100
    block: int | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "accuracy", real_number("accuracy", self.accuracy, above=0.0))
        put(self, "delta", real_number("delta", self.delta, above=0.0, below=1.0))
        put(self, "episodes", whole_number("episodes", self.episodes, 1))
        put(self, "batch", whole_number("batch", self.batch, 1))
        if self.block is not None:
            put(self, "block", whole_number("block", self.block, 1, most=MOST))

    def constants(self, mdp: FiniteMDP) -> UCFHConstants:
        """Of a process, whose rewards are scaled.

        Raises
        ------
        InvalidMDP : as ``init``.
        """
        return self._task(mdp).constants

    def init(self, game: FiniteMDP, run: Run) -> UCFHState:
        """Nothing known.

        Raises
        ------
        InvalidMDP : no horizon, terminal values, or transition probabilities that change with the time step.
        """
        task = run.derived("task", lambda: self._task(game))
        K, E = game.n_pairs, len(task.successors)
        pairs, entries = np.zeros(K, dtype=np.int64), np.zeros(E, dtype=np.int64)
        played = np.zeros((game.n_steps, game.n_states), dtype=np.int64)
        blank = UCFHState(pairs, entries, pairs, entries, played, 0.0, 0.0, 0, 0)
        return task.planned(game, blank)

    def step(self, game: FiniteMDP, state: UCFHState, run: Run) -> tuple[UCFHState, Record]:
        """One batch of episodes, and a new plan if a pair has its samples together."""
        task = run.derived("task", lambda: self._task(game))
        policy = np.zeros(game.policy_shape())
        np.put_along_axis(policy, state.pairs, 1.0, axis=1)
        played = min(self.batch, self.episodes - state.episodes)
        seen = simulate(game, policy, played, rng=run.rng())
        state = task.counted(
            replace(state, episodes=state.episodes + played), seen.pairs.reshape(-1), seen.states[:, 1:].reshape(-1)
        )
        full = (state.waiting > 0) & (state.waiting == task.wanted(state.counts))
        if full.any():
            moved = np.repeat(full, np.diff(task.first))
            state = replace(
                state,
                counts=np.where(full, state.counts + state.waiting, state.counts),
                counted=np.where(moved, state.counted + state.waited, state.counted),
                waiting=np.where(full, 0, state.waiting),
                waited=np.where(moved, 0, state.waited),
            )
            state = task.planned(game, state)
        record: Record = {"episodes": state.episodes, "phases": state.phases, "upper": state.upper, "lower": state.lower}
        return state, record

    def done(self, game: FiniteMDP, state: UCFHState) -> Status | None:
        """Converged when both values are within the accuracy; out of iterations when all episodes are played."""
        if state.upper - state.lower <= self.accuracy:
            return Status.CONVERGED
        return Status.OUT_OF_ITERATIONS if state.episodes >= self.episodes else None

    def finish(self, game: FiniteMDP, state: UCFHState, run: Run) -> MDPPolicy:
        """The policy of the last plan."""
        policy = np.zeros(game.policy_shape())
        np.put_along_axis(policy, state.pairs, 1.0, axis=1)
        return MDPPolicy(policy)

    def step_program(self, mdp: FiniteMDP, state: UCFHState, step: int) -> Program:
        """The optimistic step at a time step as a linear program: the confidence sets of a state, the optimistic values after it.

        Raises
        ------
        InvalidData : the process has no such time step.
        """
        h = whole_number("step", step, 0, most=mdp.n_steps - 1)
        task = self._task(mdp)
        lower, upper = task.bounds(state)
        plan = fixed_horizon_evi(task.reward, mdp.first, task.successors, task.first, lower, upper)
        return optimistic_program(lower, upper, plan.upper[h + 1][task.successors], np.diff(task.first))

    def _task(self, mdp: FiniteMDP) -> _Task:
        if mdp.horizon is None:
            raise InvalidMDP(
                "UCFH needs a horizon, and the process is discounted without end", "Give horizon=H, or Chain.episodic."
            )
        if len(mdp.transition) > 1:
            raise InvalidMDP("the transition probabilities change with the time step", "Make the time step part of the state.")
        if mdp.terminal.any():
            raise InvalidMDP("there are terminal values", "Pay them as the reward of one more step.")
        weights = mdp.gamma ** np.arange(mdp.horizon)
        reward = weights[:, None] * np.broadcast_to(mdp.reward, mdp.policy_shape())
        low = reward.min(axis=1)
        width = float((reward.max(axis=1) - low).max()) or 1.0
        kernel = sparse.csr_array(mdp.kernel())
        successors, first = kernel.indices.astype(np.int64), kernel.indptr.astype(np.int64)
        constants = UCFHConstants.of(mdp, min(1.0, self.accuracy / width), self.delta, self.block)
        return _Task(constants, (reward - low[:, None]) / width, width, float(low.sum()), successors, first)


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """What follows from the process: rewards (H, K) in [0, 1] that are worth ``width`` each, ``base`` added to the total."""

    constants: UCFHConstants
    reward: FloatArray
    width: float
    base: float
    successors: IntArray
    first: IntArray

    def wanted(self, counts: IntArray) -> IntArray:
        """(K,) how many samples the next update of each pair takes; 0 when there is none."""
        first = self.constants.block
        return np.where(counts >= self.constants.most, 0, np.where(counts > 0, counts, first))

    def counted(self, state: UCFHState, pairs: IntArray, arrived: IntArray) -> UCFHState:
        """The state after more transitions, in the order in which they were seen."""
        S = state.pairs.shape[1]
        room = self.wanted(state.counts) - state.waiting
        order = np.argsort(pairs, kind="stable")
        ordered = pairs[order]
        rank = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
        kept = order[rank < room[ordered]]
        keys = np.repeat(np.arange(len(room)), np.diff(self.first)) * S + self.successors
        entry = np.searchsorted(keys, pairs[kept] * S + arrived[kept])
        waiting = state.waiting + np.bincount(pairs[kept], minlength=len(room))
        return replace(state, waiting=waiting, waited=state.waited + np.bincount(entry, minlength=len(keys)))

    def bounds(self, state: UCFHState) -> tuple[FloatArray, FloatArray]:
        """(E,) the ends of the confidence sets."""
        n = np.repeat(state.counts, np.diff(self.first)).astype(np.float64)
        return confidence_bounds(state.counted / np.maximum(n, 1.0), n, self.constants.delta_1)

    def planned(self, mdp: FiniteMDP, state: UCFHState) -> UCFHState:
        """The state with a new plan."""
        plan = fixed_horizon_evi(self.reward, mdp.first, self.successors, self.first, *self.bounds(state))
        upper, lower = (self.base + self.width * float((mdp.initial * one[0]).sum()) for one in (plan.upper, plan.lower))
        return replace(state, pairs=plan.pairs, upper=upper, lower=lower, phases=state.phases + 1)


@dataclass(frozen=True, slots=True, eq=False)
class UCFHAnswer:
    """What a run of UCFH reached.

    Parameters
    ----------
    policy : (H, K), deterministic. lower, upper : with probability at least 1 - delta the value of the policy is at least
        ``lower``, and the optimal value at most ``upper``; in reward units.
    state : to go on from. status : why it stopped. history : a record per batch.
    """

    policy: FloatArray
    lower: float
    upper: float
    state: UCFHState
    status: Status
    history: History


def learn_episodic(mdp: FiniteMDP, method: UCFH | None = None, *, seed: int = 0, limits: Limits | None = None) -> UCFHAnswer:
    """Run UCFH on a process with a horizon, of which it sees rewards, possible successors and episodes.

    Raises
    ------
    InvalidMDP : as ``UCFH.init``. InvalidData : a bad seed.

    Examples
    --------
    >>> mdp = FiniteMDP([2, 1], [[1, 0], [0.5, 0.5], [0, 1]], [0.0, 0.5, 1.0], horizon=3, initial=0)
    >>> answer = learn_episodic(mdp, UCFH(accuracy=0.1, block=500))
    >>> answer.status.name, bool(answer.lower <= 2.125 <= answer.upper)
    ('CONVERGED', True)
    """
    chosen = UCFH() if method is None else method
    state, status, history = run_alone(chosen, mdp, seed=seed, limits=limits)
    policy = chosen.finish(mdp, state, Run(seed=seed)).probability
    return UCFHAnswer(policy, state.lower, state.upper, state, status, history)
