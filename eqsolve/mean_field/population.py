"""How far a policy is from optimal among all n local agents: a bound that a solve at a small level certifies, and a simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, float_array, real_number, whole_number
from eqsolve.certificates import GapCertificate
from eqsolve.errors import InvalidData
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import Histograms, size
from eqsolve.mean_field.judge.bracket import Interval, mean
from eqsolve.mean_field.judge.joint import joint_bound, joint_level
from eqsolve.mean_field.judge.surrogate import histogram_law, surrogate
from eqsolve.mean_field.online.estimates import Estimate, mean_and_half_width
from eqsolve.mean_field.online.execution import Rollouts, simulate
from eqsolve.mean_field.online.execution_tables import draw_histograms
from eqsolve.mean_field.policy import SubsampledPolicy

Against = Literal["global", "everybody"]

VALUES = 60_000
"""Values up to which the level is raised when none is asked for."""
DRAWS = 16
"""Histograms drawn from each rollout's first agents for the control variate."""
TOLERANCE, SWEEPS = 1e-4, 1_000
SAME = (
    *("global_kernel", "local_kernel", "global_reward", "local_reward", "global_available", "local_available"),
    *("gamma", "initial law", "initial law", "initial law"),
)
"""What the games of a bound and of a policy share."""


@dataclass(frozen=True, slots=True, eq=False)
class PopulationBound:
    r"""An upper bound of what anybody can reach with n local agents.

    .. math:: V_n^*(s_g, s) \le \mathbb E_\Delta V_{k'}^*(s_g, F_\Delta) \qquad (k' \le n)

    Parameters
    ----------
    game : whose it is. level : k'. against : ``"global"``: the global agent sees all n agents, the local policy being kept;
        ``"everybody"``: a planner of all actions. local_policy : (G, Z, A_l) that is kept. values : (N_k', G) near V_k'^*.
    value : true bounds of its mean.
    """

    game: GlobalLocalGame
    level: int
    against: Against
    local_policy: FloatArray
    values: FloatArray
    value: Interval


@dataclass(frozen=True, slots=True, eq=False)
class PopulationGap:
    """A bound, an estimate and their difference.

    Parameters
    ----------
    bound : see ``PopulationBound``. estimate : of the return, without the control variate.
    gap : upper bound minus estimated return. half_width : of its confidence interval. confidence : of that.
    upper : largest gap in the interval, what later steps may lack included; not below 0.
    """

    bound: PopulationBound
    estimate: Estimate
    gap: float
    half_width: float
    confidence: float
    upper: float


def population_bound(
    game: GlobalLocalGame,
    local_policy: npt.ArrayLike,
    level: int | None = None,
    *,
    against: Against = "global",
    hint: npt.ArrayLike | None = None,
    tolerance: float = TOLERANCE,
    sweeps: int = SWEEPS,
) -> PopulationBound:
    r"""The best value of the k'-surrogate, which no policy of any k exceeds among n local agents.

    The reward of n agents is the mean over the subsets of k' of the reward of these; a subset moves by itself, given the global
    agent; so a controller who sees all n does not do better on it than the best one who sees it, to whom the others are random
    numbers. It follows that the bound falls in k'.

    Parameters
    ----------
    local_policy : (G, Z, A_l) the policy that local agents keep to; not used against ``"everybody"``.
    level : k'; left out, as large as is solved in little time. hint : (G, N_k') where the sweeps start.
    tolerance : width of the bracket of the best values. sweeps : after which it is taken as wide as it is.

    Raises
    ------
    InvalidData : a level below 1, above n or (against everybody) beyond what can be planned; errors of ``surrogate_gap``.

    Notes
    -----
    Not in the paper, whose Theorem B.18 compares values of different k wrongly.

    Examples
    --------
    >>> import numpy as np
    >>> from eqsolve.mean_field import GlobalLocalGame
    >>> mixed = np.full((2, 2, 1, 2), 0.5)
    >>> game = GlobalLocalGame(np.full((2, 2, 2), 0.5), mixed, np.zeros((2, 2)), np.eye(2)[:, :, None], n=10**6, gamma=0.5)
    >>> bounds = [population_bound(game, game.uniform_local(), level).value for level in (1, 2)]
    >>> print([[round(end, 3) for end in one] for one in bounds])
    [[1.0, 1.0], [1.0, 1.0]]
    """
    if against not in get_args(Against):
        raise InvalidData(f"against is {against!r}, not {' or '.join(map(repr, get_args(Against)))}")
    kept = game.check_local(local_policy)
    width, most = real_number("tolerance", tolerance, above=0.0), whole_number("sweeps", sweeps, 1)
    if against == "everybody":
        largest = joint_level(game, game.n)
        if largest == 0:
            raise InvalidData("not even the plan of one agent can be held", "Take the bound against the global agent.")
        k = largest if level is None else whole_number("level", level, 1, most=largest)
        found = joint_bound(game, k, width, most)
        return PopulationBound(game, k, against, kept, found.middle, mean(histogram_law(game, k), found))
    k = _level(game) if level is None else whole_number("level", level, 1, most=game.n)
    system = surrogate(game, kept, k)
    found = system.optimal(None if hint is None else float_array("hint", hint), width, most)
    return PopulationBound(game, k, against, kept, found.middle, mean(system.law, found))


def population_gap(
    game: GlobalLocalGame,
    policy: SubsampledPolicy,
    level: int | None = None,
    *,
    bound: PopulationBound | None = None,
    rollouts: int = 1_500,
    steps: int | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> GapCertificate:
    r"""How much more than the policy earns among n local agents could be earned at all, the local policy being kept.

    .. math:: 0 \le V_n^* - J_n \le J_{k'}^* - \hat J_n + \text{half width} - \frac{\gamma^H \min r}{1 - \gamma}

    Parameters
    ----------
    level : k' of the bound. bound : one made before, by ``population_bound``, instead.
    rollouts : of the simulation. steps : H of each; left out, until later steps add less than 1e-5 of the largest value.
    confidence : with which the upper end holds, about. seed : of the simulation.

    Returns
    -------
    GapCertificate "optimality", "statistical".

    Raises
    ------
    InvalidPolicy : of another game. InvalidData : a bound of another game or for another local policy; see ``population_bound``
        and ``simulate``.

    Notes
    -----
    The upper end holds also the price of seeing k agents only, so for small k it is far from what a better policy of the same k
    could gain. ``population_parts`` has the parts.
    """
    parts = population_parts(game, policy, level, bound=bound, rollouts=rollouts, steps=steps, confidence=confidence, seed=seed)
    whom = "the global agent sees all local agents, who keep to their policy"
    if parts.bound.against == "everybody":
        whom = "one planner sees and moves everybody"
    assumed = (
        f"the best is bounded by the values of {parts.bound.level:,} local agents: {whom}",
        f"the return is that of {parts.estimate.rollouts:,} simulated rollouts of {parts.estimate.steps:,} steps, about normal",
    )
    return GapCertificate("optimality", 0.0, parts.upper, "statistical", None, confidence, assumed)


def population_parts(
    game: GlobalLocalGame,
    policy: SubsampledPolicy,
    level: int | None = None,
    *,
    bound: PopulationBound | None = None,
    rollouts: int = 1_500,
    steps: int | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> PopulationGap:
    """The parts of ``population_gap``; parameters and errors as there."""
    policy.check(game)
    if bound is None:
        bound = population_bound(game, policy.local_policy, level, hint=policy.hint if level == policy.k else None)
    else:
        _check_bound(bound, game, policy)
    H = _steps(game) if steps is None else whole_number("steps", steps, 1)
    rng = np.random.default_rng(seed)
    runs = simulate(game, policy, rollouts, H, rng)
    adjusted = _with_control(game, bound, runs, rng)
    value, half = mean_and_half_width(adjusted, runs.first, runs.shares, confidence)
    later = game.gamma**H * game.reward_range[0] / (1.0 - game.gamma)
    upper = max(0.0, bound.value[1] - value + half - later)
    return PopulationGap(bound, runs.estimate(confidence), bound.value[1] - value, half, confidence, float(upper))


def _check_bound(bound: PopulationBound, game: GlobalLocalGame, policy: SubsampledPolicy) -> None:
    if bound.against == "global" and not np.array_equal(bound.local_policy, policy.local_policy):
        raise InvalidData("the bound is for another local policy", "Make one by population_bound for the local policy of this one.")
    if bound.level > game.n:
        raise InvalidData(f"the bound is that of {bound.level:,} local agents, and there are {game.n:,}", "Take a lower level.")
    for what, one, other in zip(SAME, _told(bound.game), _told(game), strict=True):
        if not np.array_equal(one, other):
            raise InvalidData(f"the bound is of a game of another {what}", "Make one by population_bound for this game.")


def _told(game: GlobalLocalGame) -> tuple[Any, ...]:
    """What a bound depends on, in the order of ``SAME``; n only limits its level."""
    law = game.initial
    kernels, rewards = (game.global_kernel, game.local_kernel), (game.global_reward, game.local_reward)
    here = (game.global_available, game.local_available)
    return (*kernels, *rewards, *here, game.gamma, law.kind, law.global_law, law.local)


def _with_control(game: GlobalLocalGame, bound: PopulationBound, runs: Rollouts, rng: np.random.Generator) -> FloatArray:
    """(B,) returns less a multiple of V_k'(first state) minus its known mean; the multiple comes from the other half of them."""
    seen = [draw_histograms(rng, runs.first_counts, bound.level) for _ in range(DRAWS)]
    places = Histograms(bound.level, game.n_local_states).rank(np.stack(seen))
    law = histogram_law(game, bound.level)
    mass = law.sum(axis=0)
    by_state = np.einsum("ng,ng->g", law, bound.values) / np.where(mass > 0, mass, 1.0)
    control = bound.values[places, runs.first].mean(axis=0) - by_state[runs.first]
    adjusted = runs.returns.copy()
    half = np.arange(len(adjusted)) % 2 == 0
    for one in (half, ~half):
        adjusted[one] -= _slope(control[~one], runs.returns[~one], runs.first[~one]) * control[one]
    return adjusted


def _slope(x: FloatArray, y: FloatArray, strata: IntArray) -> float:
    """Of y on x within strata; 0 where x does not vary."""
    sizes = np.maximum(np.bincount(strata), 1)
    centred = [one - (np.bincount(strata, one) / sizes)[strata] for one in (x, y)]
    variance = float(np.einsum("b,b->", centred[0], centred[0]))
    scale = float(np.einsum("b,b->", x, x))
    return float(np.einsum("b,b->", *centred)) / variance if variance > 1e-20 * scale else 0.0


def _level(game: GlobalLocalGame) -> int:
    k = 1
    while k < game.n and size(k + 1, game.n_local_states) * game.n_global_states <= VALUES and k < 100:
        k += 1
    return k


def _steps(game: GlobalLocalGame) -> int:
    return max(1, int(np.ceil(np.log(1e-5) / np.log(game.gamma))))
