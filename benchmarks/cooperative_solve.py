"""Stationary points of the log-barrier objective: barrier policy iteration beside what else climbs, and the certificates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from benchmarks.registry import Bench, case
from eqsolve.bayesian_network import (
    BayesianNetwork,
    BayesianNetworkPolicy,
    CooperativeMarkovGame,
    as_network,
    coordination_line,
    random_cooperative,
    random_factored,
)
from eqsolve.bayesian_network.ascent import Ascent, BarrierAscent
from eqsolve.bayesian_network.barrier_iteration import AgentwiseBarrierIteration, BarrierPolicyIteration
from eqsolve.bayesian_network.bn_policy_gradient import BNPolicyGradient
from eqsolve.bayesian_network.certificate import nash_gap, optimality_gap
from eqsolve.bayesian_network.layout import Layout
from eqsolve.bayesian_network.lbfgs import LBFGS
from eqsolve.bayesian_network.natural_gradient import NaturalGradient
from eqsolve.bayesian_network.objective import Objective
from eqsolve.driver import Run

TOLERANCE = 1e-8
"""Of the gradient's 2-norm, in units of the span of values."""
MOST = 20_000
"""Iterations of L-BFGS and of agent-wise steps at most."""
CAPPED = 2_000
"""Iterations of the plain, the searched and the natural gradient."""
WANTED = 20.0


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a climb ended."""

    iterations: int
    objective: float
    residual: float
    policy: BayesianNetworkPolicy

    def __str__(self) -> str:
        short = "" if self.residual <= TOLERANCE else ", NOT THERE"
        return f"{self.iterations:6d} its, gradient {self.residual:.1e}{short}, objective {self.objective:.10f}"


Climb = Callable[[], Reached]


def span(game: CooperativeMarkovGame, lam: float) -> float:
    """The unit of the drivers' tolerances; their own rule may ask for more, for the sake of the theorems."""
    return max(lam, game.value_span)


def start(game: CooperativeMarkovGame, network: BayesianNetwork) -> BayesianNetworkPolicy:
    """The uniform policy, perturbed as the drivers do it."""
    layout = Layout(network, game.n_states, game.n_actions)
    logits = 1e-3 * np.random.default_rng(0).standard_normal(layout.size)
    return BayesianNetworkPolicy.softmax(network, layout.tables(logits))


def merged(policy: BayesianNetworkPolicy) -> BayesianNetworkPolicy:
    """As the policy of one agent who chooses the joint action."""
    return BayesianNetworkPolicy(BayesianNetwork(((),)), (policy.joint().reshape(policy.n_states, -1),))


def climb(algorithm: BarrierAscent, game: CooperativeMarkovGame, first: BayesianNetworkPolicy, most: int = MOST) -> Climb:
    """An algorithm from a given policy, ready to run: the game is laid out before."""
    run, unit = Run(), span(game, algorithm.lam)
    logits = algorithm.objective(game, run).start(first)

    def work() -> Reached:
        run.iteration = 0
        state: Ascent = algorithm.begin(game, logits, run)
        while state.gradient_norm > TOLERANCE * unit and state.moved and run.iteration < most:
            state, _ = algorithm.step(game, state, run)
            run.iteration += 1
        return Reached(run.iteration, state.objective, state.gradient_norm / unit, algorithm.finish(game, state, run))

    return work


def by_scipy(game: CooperativeMarkovGame, first: BayesianNetworkPolicy, lam: float) -> Climb:
    """scipy's L-BFGS-B, ended by the same rule."""
    objective, unit = Objective.of(game, first.network, lam), span(game, lam)
    logits = objective.start(first)

    def work() -> Reached:
        norm = np.inf

        def negative(x: np.ndarray) -> tuple[float, np.ndarray]:
            nonlocal norm
            point = objective.at(x)
            gradient = objective.gradient(point)
            norm = float(np.linalg.norm(gradient))
            return -point.objective, -gradient

        def ended(intermediate_result: OptimizeResult) -> None:
            if norm <= TOLERANCE * unit:  # the last point that a line search looks at is the one that it takes
                raise StopIteration

        options = {"maxiter": MOST, "maxfun": 2 * MOST, "ftol": 0.0, "gtol": 0.0, "maxls": 50}
        found: Any = minimize(negative, logits, jac=True, method="L-BFGS-B", callback=ended, options=options)
        point = objective.at(found.x)
        residual = float(np.linalg.norm(objective.gradient(point))) / unit
        return Reached(int(found.nit), point.objective, residual, objective.policy(point.probability))

    return work


def race(bench: Bench, size: str, climbs: dict[str, Climb], repeats: int | None = None) -> dict[str, float]:
    """Tell where each of them ends, then time them."""
    for name, work in climbs.items():
        print(f"     {name:<34} {work()}", flush=True)
    return bench.compare(size, "solve", climbs, repeats=repeats)


def certify(bench: Bench, size: str, game: CooperativeMarkovGame, policy: BayesianNetworkPolicy) -> None:
    print(f"     {nash_gap(game, policy)}", flush=True)
    print(f"     {optimality_gap(game, policy)}", flush=True)
    judges = {"nash_gap": lambda: nash_gap(game, policy), "optimality_gap": lambda: optimality_gap(game, policy)}
    bench.compare(size, "certify", judges, repeats=3)


INSTANCES = (
    (3, (2, 3, 2), 0.8, 0.01),
    (4, (2,) * 8, 0.9, 0.01),
    (20, (3,) * 5, 0.95, 0.01),
    (50, (4,) * 4, 0.99, 0.001),
    (4, (2,) * 8, 0.9, 0.1),
)


@case("cooperative-solve")
def run(bench: Bench) -> None:
    """To a gradient of 1e-8 spans: barrier policy iteration beside L-BFGS, gradients; agent-wise steps on sparse networks."""
    for S, m, gamma, lam in INSTANCES[:1] if bench.quick else INSTANCES:
        sides = "x".join(map(str, m)) if len(set(m)) > 1 else f"{m[0]}^{len(m)}"
        _dense(bench, f"S={S}, {sides}, g={gamma:g}, lam={lam:g}", random_cooperative(S, m, gamma=gamma), lam)
    games = {
        "line of 50 x 5": coordination_line(50, 5),
        "pairs, 12 x 2, S=3": random_factored(3, (2,) * 12),
        "kernel, 8 x 2, S=4": random_cooperative(4, (2,) * 8),
    }
    if bench.quick:
        games = {"line of 5 x 3": coordination_line(5, 3), "kernel, 4 x 2, S=2": random_cooperative(2, (2,) * 4)}
    for name, game in games.items():
        for kind in ("chain", "product"):
            _sparse(bench, f"{name}, {kind}", game, as_network(kind, game.n_agents))


def _dense(bench: Bench, size: str, game: CooperativeMarkovGame, lam: float) -> None:
    network = BayesianNetwork.dense(game.n_agents)
    first, common = start(game, network), {"network": "dense", "lam": lam, "tolerance": TOLERANCE, "second_order": False}
    iteration = BarrierPolicyIteration(**common)
    bench.compare(
        size,
        "build",
        {
            "barrier policy iteration": lambda: iteration.objective(game, Run()),
            "L-BFGS": lambda: LBFGS(**common).objective(game, Run()),
        },
    )
    climbs = {
        "barrier policy iteration": climb(iteration, game, merged(first)),
        "L-BFGS": climb(LBFGS(**common), game, first),
        "L-BFGS, joint logits": climb(LBFGS(**common), game.merged(), merged(first)),
        "scipy L-BFGS-B": by_scipy(game, first, lam),
        "scipy L-BFGS-B, joint logits": by_scipy(game.merged(), merged(first), lam),
    }
    taken = race(bench, size, climbs)
    most = 200 if bench.quick else CAPPED
    slow = {
        "barrier policy iteration": climbs["barrier policy iteration"],
        f"natural gradient, <= {most} its": climb(NaturalGradient(**common), game, first, most),
        f"gradient, searched, <= {most} its": climb(BNPolicyGradient(line_search=True, **common), game, first, most),
        f"gradient, 1 / beta, <= {most} its": climb(BNPolicyGradient(**common), game, first, most),
    }
    race(bench, size, slow, 1)
    best = min(seconds for name, seconds in taken.items() if "L-BFGS" in name)
    bench.target(f"{size}: L-BFGS / barrier policy iteration", best / taken["barrier policy iteration"], WANTED)
    certify(bench, size, game, climbs["barrier policy iteration"]().policy)


def _sparse(bench: Bench, size: str, game: CooperativeMarkovGame, network: BayesianNetwork) -> None:
    lam, first = 0.01, start(game, network)
    common = {"network": network, "lam": lam, "tolerance": TOLERANCE, "second_order": False}
    climbs = {
        "agent-wise, one at a time": climb(AgentwiseBarrierIteration(**common), game, first),
        "agent-wise, simultaneous": climb(AgentwiseBarrierIteration(simultaneous=True, **common), game, first),
        "L-BFGS": climb(LBFGS(**common), game, first),
        "scipy L-BFGS-B": by_scipy(game, first, lam),
    }
    race(bench, size, climbs, 3)
    certify(bench, size, game, climbs["agent-wise, one at a time"]().policy)
