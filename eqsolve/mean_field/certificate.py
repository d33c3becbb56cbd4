"""How far a joint policy is from a Nash equilibrium of the k-surrogate, computed from the game alone.

Nothing here is shared with the methods: expectations, brackets and processes come from the package ``judge``. Value functions
that a policy brings along are where sweeps start, and are never believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from eqsolve.arrays import FloatArray, IntArray, real_number, whole_number
from eqsolve.certificates import GapCertificate, Witness
from eqsolve.certificates.gap import Concept, Method
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import Histograms
from eqsolve.mean_field.judge.agent import WORK, best_deviation, tagged_agent
from eqsolve.mean_field.judge.bracket import Bracket, Interval, enclose, mean
from eqsolve.mean_field.judge.joint import joint_bound, joint_level, joint_shift
from eqsolve.mean_field.judge.surrogate import Surrogate, histogram_law, spread, surrogate
from eqsolve.mean_field.policy import SubsampledPolicy

TOLERANCE, SWEEPS = 1e-4, 1_000
"""Width of the brackets, in reward units, and sweeps after which a bracket is returned as wide as it is."""


@dataclass(frozen=True, slots=True, eq=False)
class SurrogateGaps:
    """The gaps of a policy in the k-surrogate, each on its own; see ``surrogate_gap``.

    Parameters
    ----------
    k : agents of the surrogate. value : bounds of the value of the policy from the initial law.
    dispatcher : what the team gains at most when the global agent leaves the policy. agent : when one local agent leaves it, from a
        deviation that was found to a bound on all. together : when all local agents leave it, to one policy that they share; the
        upper end lets them see everything and differ. everybody : when all follow one central plan.
    worst_dispatcher, worst_agent, worst_everybody : upper ends of the same from the worst first state rather than the initial law.
    """

    k: int
    value: Interval
    dispatcher: GapCertificate
    agent: GapCertificate
    together: GapCertificate
    everybody: GapCertificate
    worst_dispatcher: float
    worst_agent: float
    worst_everybody: float

    @property
    def agent_times_k(self) -> Interval:
        """k times the gap of one local agent: in the scale of its own reward, of which 1 / k counts for the team."""
        return self.k * self.agent.lower, self.k * self.agent.upper


def surrogate_gap(
    game: GlobalLocalGame, policy: SubsampledPolicy, *, tolerance: float = TOLERANCE, sweeps: int = SWEEPS
) -> GapCertificate:
    r"""The most that the team gains in the k-surrogate when the global agent, or one local agent, leaves the policy.

    .. math:: \max\Big\{ \max_{\pi_g'} J_k(\pi_g', \pi_l),\; \max_{\pi_1'} J_k(\pi_g, \pi_1', \pi_l^{(k-1)}) \Big\}
              - J_k(\pi_g, \pi_l)

    from the initial law. The k-surrogate is the game with k local agents, all of them seen. The global part is a true bracket. The
    best table :math:`\pi_1'(a \mid s_1, s_g)` of one local agent is hard to find: the lower end is the best one that was found, the
    upper end lets that agent see everything, and where that process is too large, all agents follow a central plan.

    Parameters
    ----------
    policy : its ``hint`` is where the sweeps start.
    tolerance : width of the brackets of values, in reward units. sweeps : after which they are taken as wide as they are.

    Returns
    -------
    GapCertificate "NE", "bracket".

    Raises
    ------
    InvalidPolicy : of another game. InvalidData : more histograms than memory holds. InvalidGame : moves of k agents whose
        expectation no operator here computes accurately in acceptable time; the amplification is told.

    Notes
    -----
    Source: Definitions 2.3 and 2.4 of the paper, which compare values of the team. ``surrogate_gaps`` has the parts.

    Examples
    --------
    >>> import numpy as np
    >>> from eqsolve.mean_field import GlobalLocalGame, uniform_policy
    >>> stay = np.ones((1, 2, 1))
    >>> game = GlobalLocalGame(stay, np.ones((1, 1, 1, 1)), [[1.0, 0.0]], [[[0.0]]], n=9, gamma=0.5)
    >>> print(surrogate_gap(game, uniform_policy(game, 2)))
    Nash gap in [1, 1], bracket; worst: the global agent, in state 0, seeing (2): play 0
      assuming the gap is that of the game with k = 2 local agents, all of them seen; there are 9
    """
    seen = _global_part(game, policy, tolerance, sweeps)
    one = _one_agent(seen)
    plan = None if one.settled else _central_plan(seen)
    agent = _agent_gap(seen, one, plan)
    worst = max((seen.dispatcher, agent), key=lambda gap: gap.lower)
    upper = max(seen.dispatcher.upper, agent.upper)
    assumed = agent.assumptions if agent.upper > seen.dispatcher.upper else seen.dispatcher.assumptions
    return GapCertificate("NE", worst.lower, upper, "bracket", worst.witness, None, assumed)


def surrogate_gaps(
    game: GlobalLocalGame, policy: SubsampledPolicy, *, tolerance: float = TOLERANCE, sweeps: int = SWEEPS
) -> SurrogateGaps:
    """The parts of ``surrogate_gap``, and what coalitions could gain; parameters and errors as there."""
    seen = _global_part(game, policy, tolerance, sweeps)
    one, plan = _one_agent(seen), _central_plan(seen)
    agent, value = _agent_gap(seen, one, plan), seen.value
    whole = plan.level == policy.k
    found = max(seen.dispatcher.lower, agent.lower, plan.value[0] - value[1] if whole else 0.0)
    assumed = (*seen.assumed, *plan.assumptions)
    everybody = _gap("optimality", found, plan.value[1] - value[0], "bracket" if whole else "relaxation", None, assumed)
    worst_everybody = max(0.0, float((_planned(seen, plan) - seen.own.lower).max()))
    return SurrogateGaps(
        policy.k,
        value,
        seen.dispatcher,
        agent,
        _all_agents(seen, plan),
        everybody,
        max(0.0, float((seen.best.upper - seen.own.lower).max())),
        min(max(0.0, one.worst), worst_everybody),
        worst_everybody,
    )


def policy_value(game: GlobalLocalGame, policy: SubsampledPolicy, *, tolerance: float = TOLERANCE, sweeps: int = SWEEPS) -> float:
    """The value J_k of a policy in the k-surrogate from the initial law: the middle of ``value_interval``."""
    low, high = value_interval(game, policy, tolerance=tolerance, sweeps=sweeps)
    return 0.5 * low + 0.5 * high


def value_interval(
    game: GlobalLocalGame, policy: SubsampledPolicy, *, tolerance: float = TOLERANCE, sweeps: int = SWEEPS
) -> Interval:
    """True bounds of the value J_k of a policy, rounding included; parameters and errors as ``surrogate_gap``."""
    policy.check(game)
    width, most = real_number("tolerance", tolerance, above=0.0), whole_number("sweeps", sweeps, 1)
    system = surrogate(game, policy.local_policy, policy.k)
    return mean(system.law, system.value(policy, policy.hint, width, most))


class _Seen(NamedTuple):
    """The surrogate, what the policy and the best global one are worth in it, and the gap of the global agent."""

    system: Surrogate
    policy: SubsampledPolicy
    own: Bracket
    best: Bracket
    value: Interval
    dispatcher: GapCertificate
    assumed: tuple[str, ...]
    tolerance: float
    sweeps: int


class _Plan(NamedTuple):
    """What a planner of the actions of so many agents reaches at most: bounds from the initial law, and (N, G) from every state."""

    level: int
    value: Interval
    upper: FloatArray
    assumptions: tuple[str, ...]


class _Agent(NamedTuple):
    """What one deviating agent gains, from the initial law and from the worst state at most, and whether the bounds are near."""

    lower: float
    upper: float
    worst: float
    settled: bool
    witness: Witness | None
    assumptions: tuple[str, ...]


def _global_part(game: GlobalLocalGame, policy: SubsampledPolicy, tolerance: float, sweeps: int) -> _Seen:
    policy.check(game)
    width, most = real_number("tolerance", tolerance, above=0.0), whole_number("sweeps", sweeps, 1)
    system = surrogate(game, policy.local_policy, policy.k)
    best = system.optimal(policy.hint, width, most)
    own = system.value(policy, best.middle.T, width, most)
    value = mean(system.law, own)
    where = f"the gap is that of the game with k = {policy.k:,} local agents, all of them seen; there are {game.n:,}"
    assumed = (where,) if policy.k < game.n else ()
    low, high = _difference(mean(system.law, best), value)
    witness = _switch(system, policy, own, low) if low > 0 else None
    dispatcher = _gap("NE", low, high, "bracket", witness, assumed)
    return _Seen(system, policy, own, best, value, dispatcher, assumed, width, most)


def _central_plan(seen: _Seen) -> _Plan:
    r"""The k agents follow a plan; of fewer agents j where k are too many, by :math:`V_k \le \mathbb E\, V_j(F_\Delta)`.

    The reward of k agents is the mean of that of their subsets of j, and no subset earns more in a larger system than planned for
    alone, since to it the others are no more than a source of random numbers.
    """
    game, k = seen.system.game, seen.system.k
    level = joint_level(game, k)
    if level == 0:
        highest, shift = game.reward_range[1], joint_shift(game, k)
        most = highest / (1.0 - shift[highest > 0.0])
        most += 1e-15 * abs(most)
        endless = "even the plan of one agent is too large; the upper end is the largest reward for ever"
        return _Plan(0, (most, most), np.full((1, 1), most), (endless,))
    bound = joint_bound(game, level, seen.tolerance, seen.sweeps)
    value = mean(histogram_law(game, level), bound)
    if level == k:
        return _Plan(level, value, bound.upper, ())
    note = f"the upper end is a central plan of {level:,} of the {k:,} agents, which earns on average no less than one of them all"
    return _Plan(level, value, bound.upper, (note,))


def _planned(seen: _Seen, plan: _Plan) -> FloatArray:
    """(N_k, G) what a central plan reaches at most from every state of the k-surrogate; (1, 1) where that is one number."""
    k, Z = seen.system.k, seen.system.game.n_local_states
    if plan.level in (0, k):
        return plan.upper
    slack = 1e-15 * (k - plan.level) * (Z + 2) * float(np.abs(plan.upper).max())
    return spread(plan.upper, plan.level, k, Z) + slack


def _one_agent(seen: _Seen) -> _Agent:
    k = seen.system.k
    process = tagged_agent(seen.system, seen.policy)
    if process is None:
        note = f"the process of one deviating agent is too large for k = {k:,}; its gain is at most that of a central plan"
        return _Agent(0.0, np.inf, np.inf, False, None, (note,))
    found = enclose(process.best, process.from_team(seen.own.middle), process.shift, seen.tolerance, process.sweeps(WORK))
    upper = mean(process.law, found)[1] - seen.value[0]
    worst = float((found.upper - process.from_team(seen.own.lower)).max())
    settled = found.width <= 10.0 * seen.tolerance
    note = "the upper end lets the one local agent that deviates see the states of all"
    if not process.can_search:
        return _Agent(
            0.0, upper, worst, settled, None, (note, f"no deviation of one agent was searched for: k = {k:,} is too large")
        )
    deviation = best_deviation(process, seen.own, seen.tolerance) if upper > 0 else None
    if deviation is None:
        return _Agent(0.0, upper, worst, settled, None, (note,))
    lower = _difference((deviation.lower, deviation.upper), seen.value)[0]
    witness = _changes(seen.system.game, seen.policy, deviation.table, lower) if lower > 0 else None
    return _Agent(lower, upper, worst, settled, witness, (note,))


def _agent_gap(seen: _Seen, one: _Agent, plan: _Plan | None) -> GapCertificate:
    upper = one.upper if plan is None else min(one.upper, plan.value[1] - seen.value[0])
    notes = one.assumptions
    if plan is not None and upper < one.upper:
        notes = (*notes, *plan.assumptions)
    return _gap("NE", one.lower, upper, "bracket", one.witness, (*seen.assumed, *notes))


def _all_agents(seen: _Seen, plan: _Plan) -> GapCertificate:
    """All local agents leave together: bounded by what they reach when they see everything, or by a central plan."""
    game = seen.system.game
    if plan.level < seen.system.k:
        return _gap("NE", 0.0, plan.value[1] - seen.value[0], "relaxation", None, (*seen.assumed, *plan.assumptions))
    rows = seen.policy.global_rows(game.n_global_actions)
    best = mean(seen.system.law, joint_bound(game, plan.level, seen.tolerance, seen.sweeps, rows))
    note = "the upper end lets the local agents see everything and act as differently as they like"
    return _gap("NE", 0.0, best[1] - seen.value[0], "relaxation", None, (*seen.assumed, note))


def _difference(one: Interval, other: Interval) -> Interval:
    return float(np.nextafter(one[0] - other[1], -np.inf)), float(np.nextafter(one[1] - other[0], np.inf))


def _gap(
    concept: Concept, lower: float, upper: float, method: Method, witness: Witness | None, assumptions: tuple[str, ...]
) -> GapCertificate:
    low = max(lower, 0.0)
    return GapCertificate(concept, low, max(low, upper, 0.0), method, witness, None, assumptions)


def _switch(system: Surrogate, policy: SubsampledPolicy, own: Bracket, gain: float) -> Witness:
    """Of a better global policy: the first state that can be met where one other action gains most, and that action."""
    game, v = system.game, own.middle
    places: list[tuple[float, int, int, int]] = []
    for g in range(v.shape[1]):
        q = system.action_values(v, g)[0]
        lead = np.where(system.law[:, g] > 0, q.max(axis=1) - v[:, g], -np.inf)
        n = int(lead.argmax())
        places.append((float(lead[n]), g, n, int(q[n].argmax())))
    _, g, n, a = max(places)
    seen = ", ".join(str(d) for d in Histograms(system.k, game.n_local_states).table[n])
    row = policy.global_policy[g, n]
    instead = f", not {_name(game.global_actions, int(row))}" if policy.is_deterministic and int(row) != a else ""
    state = game.global_label(g)
    move = f"play {_name(game.global_actions, a)}{instead}"
    return Witness("the global agent", move, gain, f"in state {state}, seeing ({seen})", None, state)


def _changes(game: GlobalLocalGame, policy: SubsampledPolicy, table: IntArray, gain: float) -> Witness:
    """Of a better table of one local agent: the first pair of states where it does what the policy hardly does."""
    kept = np.take_along_axis(policy.local_policy, table[:, :, None], axis=2)[..., 0]
    g, z = (int(one) for one in np.unravel_index(int(kept.argmin()), kept.shape))
    more = int((kept < 1.0).sum()) - 1
    rest = f" and change {more} more" if more > 0 else ""
    place = f"in {game.local_label(z)}, the global agent in {game.global_label(g)}"
    return Witness("a local agent", f"play {_name(game.local_actions, int(table[g, z]))}{rest}", gain, place)


def _name(labels: object, number: int) -> str:
    return labels[number] if isinstance(labels, tuple) and labels else str(number)
