"""What the drivers that climb the log-barrier objective share: state, stopping rule, second-order check, bounds, programs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isnan, sqrt
from typing import Any, Literal

import numpy as np

from eqsolve.arrays import FloatArray, frozen, real_number
from eqsolve.bayesian_network.bounds import a_posteriori, mismatch, stationary_nash, stationary_optimal
from eqsolve.bayesian_network.curvature import steepest_curvature
from eqsolve.bayesian_network.evaluation import Evaluator
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.layout import length
from eqsolve.bayesian_network.network import Edges, as_network
from eqsolve.bayesian_network.objective import Objective, Point, barrier_weight
from eqsolve.bayesian_network.parameters import network_parameter, truth_value
from eqsolve.bayesian_network.policy import BayesianNetworkPolicy
from eqsolve.bayesian_network.programs import named_program
from eqsolve.bayesian_network.response import largest_gain
from eqsolve.bayesian_network.result import NetworkResult
from eqsolve.certificates import Bound, GapCertificate
from eqsolve.driver import Algorithm, Record, Result, Run, Status
from eqsolve.driver.algorithm import selected
from eqsolve.errors import unknown
from eqsolve.mdp import optimal_policy, visitation
from eqsolve.programs import Program

Keep = Literal["objective", "gradient", "gap"]
KEEPS = ("objective", "gradient", "gap")

SADDLE = 1e-6
"""Curvature, in units of the objective's scale, above which a stationary point is called a saddle."""
ESCAPES = 20
"""Saddles that a run leaves before it calls itself stalled."""
ENOUGH = 1e-4
"""Share of the predicted gain that a step must make (Armijo)."""
HALVINGS = 60
NOISE = 3e-14
"""Differences of the objective, relative to its size and its scale, that may be rounding."""
LOST = 12
"""Points of one search whose gain is lost in rounding, after which it gives up."""
BOUNDED_UP_TO = 200_000
"""Numbers of the joint process up to which the mismatch coefficient of the bounds is computed."""
ROUNDING = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Ascent:
    """Where a run stands.

    Parameters
    ----------
    logits : (D,) log-probabilities. pull : (D,) d(s, a^P) A^i, from which the gradient follows.
    objective, value : L_lambda and V(mu). gradient_norm : in the 2-norm, over all logits. stationary : whether it is small enough.
    step : what the step before used, where a method goes on from it. moved : whether it found anything better.
    curvature : the largest one at a stationary point, NaN where it has not been looked at. escapes : saddles left behind.
    kept : (D,) the logits that ``finish`` hands back. score : what they were kept for, the less the better.
    memory : further arrays of a method.
    """

    logits: FloatArray
    pull: FloatArray
    objective: float
    value: float
    gradient_norm: float
    stationary: bool
    step: float
    moved: bool
    curvature: float
    escapes: int
    kept: FloatArray
    score: float
    memory: tuple[FloatArray, ...] = ()


@dataclass(frozen=True, slots=True)
class BarrierAscent(Algorithm[CooperativeMarkovGame, Ascent, BayesianNetworkPolicy]):
    """A method that climbs L_lambda over one network; subclasses say how a step is made.

    Parameters
    ----------
    network : a ``BayesianNetwork``, its edges (parent, child), or ``"product"``, ``"chain"``, ``"tree"``, ``"dense"``.
    lam : lambda > 0, in reward units. At a stationary point over a dense network the optimality gap is at most lambda M.
    tolerance : the run ends where the gradient, in the 2-norm and in units of the larger of lambda and the span of values
        (r_max - r_min) / (1 - gamma), is at most this, and the second-order check passes. In any case the gradient must be as small
        as Lemmas 2 and 3 ask, lambda / (max(2, sqrt N) times the entries of the largest table): where lambda is tiny, near
        every deterministic policy, good or bad, the gradient is small.
    perturb : standard deviation of the logits that the run starts from; 0 for the uniform policy, which symmetric games make a
        saddle.
    second_order : at a stationary point look for a direction of positive curvature, and go on along it if there is one.
    keep : which iterate is handed back: the one of largest ``"objective"``, of least ``"gradient"``, or of least Nash ``"gap"``.
    gaps : record the exact Nash gap of every iterate; ``keep="gap"`` implies it.

    Raises
    ------
    InvalidData : lambda, tolerance or perturb out of range. UnknownName : another network or keep. InvalidNetwork : a cycle, an
        agent that does not exist.
    """

    network: str | Edges = "dense"
    lam: float = 0.01
    tolerance: float = 1e-8
    perturb: float = 1e-3
    second_order: bool = True
    keep: Keep = "objective"
    gaps: bool = False

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "network", network_parameter(self.network))
        put(self, "lam", barrier_weight(self.lam))
        put(self, "tolerance", real_number("tolerance", self.tolerance, above=0.0))
        put(self, "perturb", real_number("perturb", self.perturb, least=0.0))
        put(self, "second_order", truth_value("second_order", self.second_order))
        put(self, "gaps", truth_value("gaps", self.gaps))
        if self.keep not in KEEPS:
            raise unknown("keep", self.keep, KEEPS)

    @abstractmethod
    def advance(self, objective: Objective, state: Ascent, run: Run) -> Ascent:
        """A better iterate, or the same one with ``moved`` False. ``settled`` fills in what follows from the logits."""

    def objective(self, game: CooperativeMarkovGame, run: Run) -> Objective:
        """What is climbed."""
        return Objective(run.derived("evaluator", lambda: self.evaluator(game)), self.lam)

    def evaluator(self, game: CooperativeMarkovGame) -> Evaluator:
        """The game laid out for the policies that are climbed over."""
        return Evaluator.of(game, as_network(self.network, game.n_agents))

    def init(self, game: CooperativeMarkovGame, run: Run) -> Ascent:
        """The uniform policy, perturbed."""
        size = self.objective(game, run).evaluator.layout.size
        return self.begin(game, self.perturb * run.rng().standard_normal(size), run)

    def begin(self, game: CooperativeMarkovGame, logits: FloatArray, run: Run) -> Ascent:
        """The state at given logits (D,)."""
        objective = self.objective(game, run)
        empty = Ascent(logits, logits, 0.0, 0.0, 0.0, False, 0.0, True, np.nan, 0, logits, np.inf)
        state = self.settled(objective, objective.at(logits), empty)
        return replace(state, score=self.nash_gap(game, state, run)) if self.keep == "gap" else state

    def step(self, game: CooperativeMarkovGame, state: Ascent, run: Run) -> tuple[Ascent, Record]:
        """One iteration of the method; at a stationary point, the second-order check and the step off a saddle."""
        objective = self.objective(game, run)
        following = (self.checked if state.stationary else self.advance)(objective, state, run)
        record = self.record(game, following, run)
        if self.keep == "gap" and record["nash_gap"] < following.score:
            following = replace(following, kept=following.logits, score=record["nash_gap"])
        return following, record

    def record(self, game: CooperativeMarkovGame, state: Ascent, run: Run) -> dict[str, float]:
        """What the history tells of a state."""
        found = {name: getattr(state, name) for name in ("objective", "value", "gradient_norm", "step")}
        return found | {"nash_gap": self.nash_gap(game, state, run)} if self.gaps or self.keep == "gap" else found

    def nash_gap(self, game: CooperativeMarkovGame, state: Ascent, run: Run) -> float:
        """The most that one agent gains alone."""
        evaluator = self.objective(game, run).evaluator
        return largest_gain(evaluator, evaluator.layout.tables(np.exp(state.logits)))

    def done(self, game: CooperativeMarkovGame, state: Ascent) -> Status | None:
        """Converged at a stationary point that is no saddle; stalled where no step gains anything any more."""
        if not state.moved:
            return Status.STALLED
        if not state.stationary:
            return None
        if not self.second_order:
            return Status.CONVERGED
        if isnan(state.curvature):
            return None
        return Status.CONVERGED if state.curvature <= SADDLE * self.scale(game) else Status.STALLED

    def finish(self, game: CooperativeMarkovGame, state: Ascent, run: Run) -> BayesianNetworkPolicy:
        """The policy of the iterate that was kept."""
        objective = self.objective(game, run)
        return objective.policy(np.exp(objective.evaluator.layout.log_softmax(state.kept)))

    def scale(self, game: CooperativeMarkovGame) -> float:
        """The unit of tolerances."""
        return max(self.lam, game.value_span)

    def noise(self, objective: Objective, size: float) -> float:
        """Differences between objectives of that size that may be rounding."""
        return NOISE * (self.scale(objective.evaluator.game) + abs(size))

    def is_stationary(self, objective: Objective, gradient_norm: float) -> bool:
        """Whether the gradient is within the tolerance, and small enough for the lemmas."""
        layout, game = objective.evaluator.layout, objective.evaluator.game
        needed = self.lam / (max(2.0, sqrt(game.n_agents)) * float(np.diff(layout.offsets).max()))
        return gradient_norm <= min(self.tolerance * self.scale(game), needed)

    def settled(self, objective: Objective, point: Point, state: Ascent, **changes: Any) -> Ascent:
        """The state at another point, everything that follows from it filled in."""
        pull = objective.visited_advantages(point)
        gradient = pull * point.probability + self.lam * objective.barrier_gradient(point.probability)
        norm = length(gradient)
        score = {"objective": -point.objective, "gradient": norm, "gap": np.inf}[self.keep]
        # Of objectives that differ by rounding the later one has the smaller gradient.
        slack = self.noise(objective, point.objective) if self.keep == "objective" else 0.0
        if score <= state.score + slack:
            changes |= {"kept": frozen(point.logits), "score": min(score, state.score)}
        found = {"objective": point.objective, "value": point.value, "gradient_norm": norm, "curvature": np.nan}
        found["stationary"] = self.is_stationary(objective, norm)
        return replace(state, logits=frozen(point.logits), pull=frozen(pull), **(found | changes))

    def checked(self, objective: Objective, state: Ascent, run: Run) -> Ascent:
        """A stationary point with its curvature, or the point that a step off the saddle leads to."""
        layout = objective.evaluator.layout

        def gradient(logits: FloatArray) -> FloatArray:
            return objective.gradient(objective.at(logits))

        curvature, direction = steepest_curvature(gradient, state.logits, run.rng(1))
        here = replace(state, curvature=curvature)
        if curvature <= SADDLE * self.scale(objective.evaluator.game) or state.escapes >= ESCAPES:
            return here
        best: Point | None = None
        for sign in (1.0, -1.0):
            for size in (1.0, 0.1, 0.01):
                point = objective.at(state.logits + sign * size * np.sqrt(layout.size) * direction)
                if point.objective > (state.objective if best is None else best.objective):
                    best = point
        if best is None:
            return here
        score = np.inf if self.keep == "gradient" else here.score  # the saddle's own gradient is nearly 0
        fresh = replace(here, score=score, memory=(), escapes=state.escapes + 1)
        return self.settled(objective, best, fresh)

    def search(
        self, objective: Objective, state: Ascent, path: Callable[[float], FloatArray], first: float, slope: float
    ) -> Ascent:
        """The first point on a path that gains its share of what the slope at its start predicts, halving from ``first``.

        Where gains are lost in rounding, a point of smaller gradient will do; where there is neither, ``moved`` is False.
        """
        size, noise, lost = first, self.noise(objective, state.objective), 0
        for _ in range(HALVINGS):
            point = objective.at(path(size))
            gain = point.objective - state.objective
            if gain > noise and gain >= ENOUGH * size * slope:
                return self.settled(objective, point, state, step=size)
            if abs(gain) <= noise:
                following = self.settled(objective, point, state, step=size)
                lost += 1
                if following.gradient_norm < state.gradient_norm:
                    return following
                if lost == LOST:
                    break
            size *= 0.5
        return replace(state, moved=False)

    def bounds(self, game: CooperativeMarkovGame, state: Ascent, policy: BayesianNetworkPolicy) -> tuple[Bound, ...]:
        """What the theorems promise at a stationary point, with what fails of their hypotheses."""
        return theorems(game, policy, self.lam)

    def objection(self, result: Result[CooperativeMarkovGame, Ascent, BayesianNetworkPolicy]) -> str:
        """A gap above what a theorem promises."""
        return broken(result.bounds, result.gap)

    def program(self, result: Result[CooperativeMarkovGame, Ascent, BayesianNetworkPolicy], *which: Any) -> Program:
        """A program of the game: ``"barrier"`` (one state or gamma = 0), ``"occupancy"``, ``"central-path"``; see ``programs``."""
        return named_program(result.game, self.lam, *which)

    def select(self, game: CooperativeMarkovGame, selector: str, solved: Callable[[], Any]) -> Program:
        """The same; nothing needs to be solved for it."""
        return named_program(game, self.lam, *selected(selector))

    def result_class(self) -> type[NetworkResult]:
        """A result that tells the optimality gap as well."""
        return NetworkResult


def theorems(game: CooperativeMarkovGame, policy: BayesianNetworkPolicy, lam: float) -> tuple[Bound, ...]:
    """Lemma 2, and over dense networks Lemma 3 and the a-posteriori bound; none where the joint process is large."""
    if game.n_states**2 * game.n_joint > BOUNDED_UP_TO or min(table.min() for table in policy.tables) == 0.0:
        return ()
    objective = Objective.of(game, policy.network, lam)
    point = objective.at(objective.start(policy))
    norm = length(objective.gradient(point))
    found = mismatch(game)
    bounds = [stationary_nash(game, policy.network, lam, norm, found)]
    if policy.network.is_dense:
        process = game.joint_mdp()
        best = visitation(process, process.deterministic(optimal_policy(process, "policy_iteration").choice), normalised=False)
        best_visits = best.reshape(game.n_states, -1).sum(axis=1)
        bounds += [stationary_optimal(game, policy.network, lam, norm, found, variant) for variant in ("telescoped", "paper")]
        bounds.append(a_posteriori(game, policy, lam, norm, point.evaluation.visits, best_visits))
    return tuple(bounds)


def broken(bounds: tuple[Bound, ...], gap: GapCertificate) -> str:
    """A theorem whose promise the certificate refutes, or nothing: then there is an error in this code, and the run says so."""
    for one in bounds:
        about_nash = one.name.startswith("Nash")
        if about_nash and one.value is not None and gap.lower > one.value * (1.0 + ROUNDING) + ROUNDING:
            return f"the Nash gap is at least {gap.lower:.6g}, and {one.source} promises {one.value:.6g}"
    return ""
