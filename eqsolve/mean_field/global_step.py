"""The global step: optimal values and policies of the k-surrogate under a fixed local policy, proved within a tolerance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, float_array, real_number, whole_number
from eqsolve.errors import InvalidData
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.operators.lift import ACCURACY
from eqsolve.mean_field.operators.mixing import Mixing
from eqsolve.mean_field.operators.stage import Stage, raised, stage
from eqsolve.mean_field.policy import SubsampledPolicy

Ending: TypeAlias = Literal["within tolerance", "at rounding", "iteration limit", "interrupted"]

STALLED = 30
"""Sweeps without a narrower bracket after which rounding bars a narrower one."""
COARSE_FROM = 4_000
"""Histograms from which the values for half as many agents give the first values."""
COARSER = 30.0
"""How much less exactly these are found."""


@dataclass(frozen=True, slots=True, eq=False)
class Sweeps:
    """The state of an iteration between two sweeps.

    Parameters
    ----------
    mixing : the values that come next, and the memory.
    best : (G, N) T V of the narrowest bracket so far. actions : (G, N) the greedy policy there; None when a policy is evaluated.
    low, high : best + low <= V* <= best + high. spans : the spans of the residuals, one for each sweep. since : sweeps since then.
    """

    mixing: Mixing
    best: FloatArray
    actions: IntArray | None
    low: float = -np.inf
    high: float = np.inf
    spans: tuple[float, ...] = ()
    since: int = 0

    @property
    def width(self) -> float:
        """Of the bracket, in reward units."""
        return self.high - self.low

    def ending(self, tolerance: float) -> Ending | None:
        """Why the iteration ends here, or None: the middle of the bracket is within ``tolerance``, or rounding bars it."""
        if self.width <= 2.0 * tolerance:
            return "within tolerance"
        return "at rounding" if self.since >= STALLED else None


@dataclass(frozen=True, slots=True, eq=False)
class GlobalStep:
    """What the global step found.

    Parameters
    ----------
    values : (G, N) the optimal values of the k-surrogate, in reward units, each within ``radius``.
    lower, upper : values + lower <= V* <= values + upper everywhere, and the policy earns values + lower at least.
    policy : (G, N) numbers of actions: greedy, the first among those that are equally good up to rounding.
    sweeps : Bellman sweeps, those of the coarse starts not counted. spans : of the residuals. ending : why it ended.
    """

    values: FloatArray
    lower: float
    upper: float
    policy: IntArray
    sweeps: int
    spans: FloatArray
    ending: Ending

    @property
    def radius(self) -> float:
        """The largest distance of ``values`` from the optimal ones that is not excluded."""
        return max(self.upper, -self.lower)

    def joint(self, k: int, local_policy: npt.ArrayLike) -> SubsampledPolicy:
        """The policy beside the local one."""
        return SubsampledPolicy(k, self.policy, np.asarray(local_policy, dtype=np.float64), self.values)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """What a policy earns in the k-surrogate: ``values`` (G, N) + lower <= V^pi <= values + upper."""

    values: FloatArray
    lower: float
    upper: float
    sweeps: int
    ending: Ending

    @property
    def radius(self) -> float:
        """The largest error of ``values`` that is not excluded."""
        return max(self.upper, -self.lower)


@dataclass(frozen=True, slots=True, eq=False)
class GlobalIteration:
    r"""Value iteration on the k-surrogate, accelerated, one sweep at a time; a driver may stop between any two.

    .. math:: V \leftarrow T V \text{ (mixed)}, \qquad
              TV + \tfrac{\gamma}{1 - \gamma} \min(TV - V) \le V^* \le TV + \tfrac{\gamma}{1 - \gamma} \max(TV - V)

    Parameters
    ----------
    stage : the operator. anderson : sweeps that are mixed.
    policy : None, or a policy (actions (G, N) or probabilities (G, N, A)) that is evaluated instead of optimised.
    """

    stage: Stage
    anderson: int = 6
    policy: npt.NDArray[Any] | None = None

    def begin(self, start: npt.ArrayLike | None = None) -> Sweeps:
        """The state before the first sweep, from values (G, N), zero when left out.

        Raises
        ------
        InvalidData : values of another shape, or not finite.
        """
        memory = whole_number("anderson", self.anderson, 0)
        values = np.zeros(self.stage.shape) if start is None else float_array("start", start, self.stage.shape)
        return Sweeps(Mixing(values, memory), values, None)

    def step(self, state: Sweeps) -> Sweeps:
        """The state after one more sweep; ``state`` stays as it is."""
        values, gamma = state.mixing.values, self.stage.game.gamma
        actions: IntArray | None = None
        if self.policy is None:
            top, actions = self.stage.greedy(values)
        else:
            top = self.stage.backup(values, self.policy)
        least, most = self.stage.extent(values, top)
        low, high = self.stage.bracket(values, least, most)
        mixing = state.mixing.after(top, least, most, gamma, self.stage.parts)
        spans = (*state.spans, most - least)
        if high - low < state.width:
            return Sweeps(mixing, top, actions, low, high, spans)
        return replace(state, mixing=mixing, spans=spans, since=state.since + 1)

    def finish(self, state: Sweeps, ending: Ending) -> GlobalStep:
        """The middle of the narrowest bracket, and its policy.

        Raises
        ------
        InvalidData : no sweep was done, or a policy was only evaluated.
        """
        if state.actions is None:
            raise InvalidData("there is no policy yet", "Do a sweep first, of an iteration that optimises.")
        values, lower, upper = _middle(state)
        return GlobalStep(values, lower, upper, state.actions, len(state.spans), np.array(state.spans), ending)

    def run(
        self, state: Sweeps, tolerance: float, limit: int | None = None, progress: Callable[[Sweeps], bool | None] | None = None
    ) -> tuple[Sweeps, Ending]:
        """Sweeps until the bracket is narrow enough, or ``progress``, called after each of them, answers True."""
        while True:
            ending = state.ending(tolerance)
            if ending is not None:
                return state, ending
            if limit is not None and len(state.spans) >= limit:
                return state, "iteration limit"
            state = self.step(state)
            if progress is not None and progress(state):
                return state, state.ending(tolerance) or "interrupted"


def solve_global(
    game: GlobalLocalGame,
    k: int,
    local_policy: npt.ArrayLike,
    tolerance: float = 1e-6,
    *,
    start: npt.ArrayLike | None = None,
    anderson: int = 6,
    limit: int | None = None,
    progress: Callable[[Sweeps], bool | None] | None = None,
    coarse: bool = True,
    method: str = "auto",
    threads: int = 0,
) -> GlobalStep:
    r"""Optimal values and policy of the global agent who sees k agents, under a local policy (G, Z, A_l) (G-LEARN, exactly).

    .. math:: V^*(g, d) = \max_a \Big[ r_g(g, a) + \frac1k \sum_z d_z r_l^{\pi_l}(z, g) + \gamma \sum_h P_g(h \mid g, a)\,
              \mathbb E[V^*(h, D') \mid g, d] \Big]

    Parameters
    ----------
    tolerance : the values are to be within this of V*, in reward units; rounding may bar it, and ``radius`` tells what is proved.
    start : (G, N_k) values to begin with, such as those under the last local policy.
    anderson : sweeps that are mixed; 0 for plain value iteration.
    limit : of sweeps. progress : called after each sweep, also of the coarse starts; an answer of True ends that iteration there.
    coarse : without ``start``, begin with the values for k / 2 agents, averaged over those that are seen, and so on downwards.
    method, threads : see ``lift``; answers do not depend on ``threads``.

    Raises
    ------
    InvalidGame : k > n.
    InvalidData : k or tolerance out of range, no local policy of the game, more histograms than memory holds.

    Notes
    -----
    Where the paper samples next states (Algorithm 2), the expectation is exact here; ``sampled`` has the sampled operator.

    Examples
    --------
    >>> import numpy as np
    >>> stay = np.eye(2)[:, None, None, :]
    >>> game = GlobalLocalGame(np.ones((1, 2, 1)), stay, [[1.0, 3.0]], np.zeros((2, 1, 1)), n=5, gamma=0.5)
    >>> found = solve_global(game, 2, game.uniform_local())
    >>> found.policy.tolist(), found.values.round(6).tolist()
    ([[1, 1, 1]], [[6.0, 6.0, 6.0]])
    """
    bound = real_number("tolerance", tolerance, above=0.0)
    if limit is not None:
        whole_number("limit", limit, 1)
    here = stage(game, k, local_policy, method=method, threads=threads, accuracy=_accuracy(game, bound))
    agents, first = here.k, start
    if start is None and coarse and here.shape[1] >= COARSE_FROM:
        half = agents // 2
        fewer = solve_global(
            game,
            half,
            local_policy,
            COARSER * bound,
            anderson=anderson,
            limit=limit,
            progress=progress,
            method=method,
            threads=threads,
        )
        first = raised(fewer.values, game.n_local_states, half, agents)
    iteration = GlobalIteration(here, anderson)
    state, ending = iteration.run(iteration.begin(first), bound, limit, progress)
    return iteration.finish(state, ending)


def evaluate_global(
    game: GlobalLocalGame,
    policy: SubsampledPolicy,
    tolerance: float = 1e-6,
    *,
    start: npt.ArrayLike | None = None,
    anderson: int = 6,
    limit: int | None = None,
    method: str = "auto",
    threads: int = 0,
) -> Evaluated:
    """The values of a joint policy, deterministic or stochastic, in the k-surrogate; parameters as in ``solve_global``.

    Raises
    ------
    InvalidPolicy : a policy of another game. InvalidData : a tolerance out of range, more histograms than memory holds.
    """
    bound = real_number("tolerance", tolerance, above=0.0)
    policy.check(game)
    here = stage(game, policy.k, policy.local_policy, method=method, threads=threads, accuracy=_accuracy(game, bound))
    if not policy.is_deterministic:
        off = float(np.abs(policy.global_policy.sum(axis=2) - 1.0).max())
        here = replace(here, mass_error=here.mass_error + 1.01 * off)
    iteration = GlobalIteration(here, anderson, policy.global_policy)
    first = policy.hint if start is None else start
    state, ending = iteration.run(iteration.begin(first), bound, limit)
    return Evaluated(*_middle(state), len(state.spans), ending)


def _middle(state: Sweeps) -> tuple[FloatArray, float, float]:
    middle = 0.5 * (state.low + state.high)
    pad = 2.0**-52 * float(np.abs(state.best).max() + abs(middle))
    return state.best + middle, state.low - middle - pad, state.high - middle + pad


def _accuracy(game: GlobalLocalGame, tolerance: float) -> float:
    """The relative error of shears that costs a tenth of the tolerance, as far as they can have it."""
    span = max(game.reward_bound, 1e-300) / (1.0 - game.gamma) ** 2
    return float(np.clip(0.1 * tolerance / span, 1e-12, ACCURACY))
