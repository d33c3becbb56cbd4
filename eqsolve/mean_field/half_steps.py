"""The two half-steps of an alternation by name: who proposes the next policy of the global agent, and of the local agents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray
from eqsolve.driver import Run
from eqsolve.errors import InvalidData
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import Histograms, size
from eqsolve.mean_field.initial import InitialLaw
from eqsolve.mean_field.local_step import enumerate_local, solve_local
from eqsolve.mean_field.policy import SubsampledPolicy
from eqsolve.mean_field.solo import softmax_policy, solo_values
from eqsolve.mean_field.two_level import Facing, TwoLevel, Valued

ACCURATE = 0.1
"""Of UCFH, in units of the span of values."""
EPISODES, PLANNED = 1_000, 100_000
"""Of UCFH: episodes per sample that is asked for, and pairs of states and actions times macro steps at most."""
GlobalStepName: TypeAlias = Literal["exact", "ascent", "sampled", "rounded", "q_learning", "noisy"]
LocalStepName: TypeAlias = Literal["ascent", "enumerate", "chained", "ucfh", "softmax", "fixed"]
DRAWN: tuple[str, ...] = ("sampled", "q_learning", "noisy", "ucfh")
"""Half-steps that draw anew every time, so that what was rejected may be followed by something better."""
FINE = 0.25
"""Of the tolerance of the run, that of an exact global step."""


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """What a half-step is given.

    Parameters
    ----------
    game, surrogate : the game, and K and k. policy : the present pair; its hint is a value function to start from.
    facing : the surrogate under the present global policy. values : (G, N_K) of the pair in it.
    tolerance : of the run. m : samples. ascents : of a local ascent.
    run : the driver's, for the seed and the clock.
    """

    game: GlobalLocalGame
    surrogate: TwoLevel
    policy: SubsampledPolicy
    facing: Facing
    values: FloatArray
    tolerance: float
    m: int
    ascents: int
    run: Run


GlobalProposal: TypeAlias = "tuple[npt.NDArray[Any], FloatArray | None]"
"""A policy of the global agent, and a value function (G, N_k) to start from next time."""
LocalProposal: TypeAlias = "tuple[FloatArray, Valued | None]"
"""A local policy, and its value against the present global policy where the step knows it."""


def exact_step(ask: Ask) -> GlobalProposal:
    """The optimal policy of the k-surrogate, by value iteration with the exact operator."""
    from eqsolve.mean_field.global_step import solve_global

    policy = ask.policy

    def going_on(_: object) -> None:
        ask.run.remaining()

    found = solve_global(ask.game, policy.k, policy.local_policy, FINE * ask.tolerance, start=policy.hint, progress=going_on)
    return found.policy, found.values


def global_ascent_step(ask: Ask) -> GlobalProposal:
    """Exact-gradient ascent of J[K, k] from the optimum of the k-surrogate, or from the present policy if that is better."""
    from eqsolve.mean_field.global_ascent import ascend_global

    chosen, hint = exact_step(ask)
    local, here = ask.policy.local_policy, ask.policy
    start = np.eye(ask.game.n_global_actions)[chosen]
    proposed = ask.surrogate.facing(start).evaluate(local, tolerance=FINE * ask.tolerance, start=ask.values)
    present = ask.facing.evaluate(local, tolerance=FINE * ask.tolerance, start=ask.values)
    if here.is_deterministic and present.value >= proposed.value:
        chosen = here.global_policy
    tolerance, tick = ask.tolerance, ask.run.remaining
    found = ascend_global(ask.surrogate, chosen, local, values=proposed.values, tolerance=tolerance, tick=tick)
    return found.global_policy, hint


def sampled_step(ask: Ask) -> GlobalProposal:
    """G-LEARN (Algorithm 1): value iteration with m fixed samples of every next histogram."""
    return _sampled(ask, "fixed")


def rounded_step(ask: Ask) -> GlobalProposal:
    """The authors' code: one next histogram, the expected one rounded."""
    return _sampled(ask, "rounded")


def _sampled(ask: Ask, variant: Literal["fixed", "rounded"]) -> GlobalProposal:
    from eqsolve.mean_field.sampled import solve_sampled

    found = solve_sampled(
        ask.game, ask.policy.k, ask.policy.local_policy, ask.m, ask.run.rng(), FINE * ask.tolerance, variant=variant
    )
    return found.policy, found.values


def q_learning_step(ask: Ask) -> GlobalProposal:
    """Off-policy Q-learning (Appendix E) from one trajectory of m transitions per entry of Q."""
    from eqsolve.mean_field.learning.q_learning import QLearning, learn_global

    policy, game = ask.policy, ask.game
    G, N = game.n_global_states, size(policy.k, game.n_local_states)
    steps = ask.m * G * N * game.n_global_actions
    method = QLearning(policy.k, policy.local_policy, steps=steps)
    return learn_global(game, method, seed=_seed(ask)).policy.global_policy, policy.hint


def noisy_step(ask: Ask) -> GlobalProposal:
    """Stochastic rewards (Algorithm 10, corrected): the optimum for the means of m draws of every reward."""
    from eqsolve.mean_field.learning.noisy_learning import learn_noisy

    policy = ask.policy
    found = learn_noisy(ask.game, policy.k, policy.local_policy, ask.m, rng=ask.run.rng(), tolerance=FINE * ask.tolerance)
    return found.policy.global_policy, found.values


def ascent_step(ask: Ask) -> LocalProposal:
    """Exact-gradient ascent of the two-level surrogate from several starts."""
    found = solve_local(
        ask.facing,
        ask.policy.local_policy,
        values=ask.values,
        tolerance=ask.tolerance,
        starts=ask.ascents,
        rng=ask.run.rng(1),
        tick=ask.run.remaining,
    )
    return found.local_policy, found.valued


def enumerate_step(ask: Ask) -> LocalProposal:
    """The best deterministic shared policy."""
    found = enumerate_local(ask.facing, tolerance=ask.tolerance, tick=ask.run.remaining)
    return found.local_policy, found.valued


def chained_step(ask: Ask) -> LocalProposal:
    """The k-chained process without its leak, solved exactly and projected to a shared policy (Algorithm 8)."""
    from eqsolve.mean_field.processes.chained import chained_response

    return chained_response(ask.game, ask.policy, hide_pending=True, rule="likeliest").local_policy, None


def ucfh_step(ask: Ask) -> LocalProposal:
    """UCFH (Algorithm 6) on the chain of Algorithm 8, cut after 1 / (1 - gamma) macro steps: the plan of the first, projected."""
    from eqsolve.mean_field.learning.ucfh import UCFH, learn_episodic
    from eqsolve.mean_field.processes.chained import chained_mdp

    chain = chained_mdp(ask.game, ask.policy, hide_pending=True)
    horizon = ceil(1.0 / (1.0 - ask.game.gamma))
    if chain.mdp.n_pairs * horizon > PLANNED:
        raise InvalidData(
            f"UCFH would plan for {chain.mdp.n_pairs:,} pairs of states and actions over {horizon:,} macro steps, again and again",
            f"It is meant for toys of at most {PLANNED:,} in all; use local_step: ascent, a smaller k, or a smaller discount.",
        )
    method = UCFH(accuracy=max(ask.tolerance, ACCURATE * ask.game.value_span), episodes=EPISODES * ask.m, block=ask.m)
    plan = learn_episodic(chain.episodic(horizon), method, seed=_seed(ask), limits=ask.run.remaining()).policy
    pairs = np.arange(chain.mdp.n_pairs)
    return chain.project(plan[chain.stage[chain.mdp.owner], pairs], "likeliest"), None


def softmax_step(ask: Ask) -> LocalProposal:
    """The authors' code: softmax of the values of an agent alone, for whom the global state moves as it does on average."""
    return softmax_policy(solo_values(ask.game, mean_moves(ask.game, ask.policy))), None


def fixed_step(ask: Ask) -> LocalProposal:
    """The local policy stays as it is."""
    return ask.policy.local_policy, None


def _seed(ask: Ask) -> int:
    return int(ask.run.rng().integers(2**31))


def mean_moves(game: GlobalLocalGame, policy: SubsampledPolicy) -> FloatArray:
    """(G, G) moves of the global state when the k agents seen are drawn from where an agent is in the long run.

    The long run is under the present local policy and a uniform global state. (The authors' code averages over 200 draws; this is
    the expectation.)
    """
    G, Z = game.n_global_states, game.n_local_states
    rows = game.local_rows(policy.local_policy).mean(axis=0)
    share = np.full(Z, 1.0 / Z)
    for _ in range(10_000):  # the lazy chain has one limit per start, whatever its period
        new = 0.5 * (share + np.einsum("z,zs->s", share, rows))
        if np.abs(new - share).sum() < 1e-13:
            break
        share = new
    law = InitialLaw(np.full(G, 1.0 / G), "iid", share / share.sum()).histogram_law(Histograms(policy.k, Z))
    moves = np.einsum("d,gda,gah->gh", law / law.sum(), policy.global_rows(game.n_global_actions), game.global_kernel)
    return np.asarray(moves / moves.sum(axis=1, keepdims=True))


GLOBAL_STEPS: dict[str, Callable[[Ask], GlobalProposal]] = {
    "exact": exact_step,
    "ascent": global_ascent_step,
    "sampled": sampled_step,
    "rounded": rounded_step,
    "q_learning": q_learning_step,
    "noisy": noisy_step,
}
LOCAL_STEPS: dict[str, Callable[[Ask], LocalProposal]] = {
    "ascent": ascent_step,
    "enumerate": enumerate_step,
    "chained": chained_step,
    "ucfh": ucfh_step,
    "softmax": softmax_step,
    "fixed": fixed_step,
}
