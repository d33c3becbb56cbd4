"""The exact gradient of the log-barrier objective beside JAX, autograd and plain enumeration, and how it grows.

All contestants are asked for L_lambda and its gradient by the logits, all tables of a policy in one vector, at ten policies in a
row; they must agree to 1e-8 first. JAX and autograd differentiate the natural formulation: the joint policy by broadcasting and
(I - gamma P_pi)^-1 for games with a kernel over joint actions, a forward recursion over the chain for the line of 50 agents.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy as anp
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.registry import Bench, case
from eqsolve.bayesian_network import (
    BayesianNetwork,
    CooperativeMarkovGame,
    as_network,
    coordination_line,
    random_cooperative,
    random_factored,
)
from eqsolve.bayesian_network.factors import in_words
from eqsolve.bayesian_network.layout import Layout
from eqsolve.bayesian_network.objective import Objective

jax.config.update("jax_enable_x64", True)

Answer = tuple[float, np.ndarray]
Answers = Callable[[np.ndarray], Answer]

LAM, AGREE, CALLS, GAMMA = 0.01, 1e-8, 10, 0.9


def ours(game: CooperativeMarkovGame, network: BayesianNetwork, compiled: bool | None = None) -> Answers:
    objective = Objective.of(game, network, LAM, compiled=compiled)

    def answer(logits: np.ndarray) -> Answer:
        point = objective.at(logits)
        return point.objective, objective.gradient(point)

    return answer


def joint_sides(layout: Layout, i: int) -> tuple[int, ...]:
    """The shape in which the table of agent i broadcasts against one over all joint actions; parents come before children."""
    return tuple(m if j in layout.network.family(i) else 1 for j, m in enumerate(layout.n_actions))


def over_joint_actions(np_: Any, log_softmax: Callable[[Any], Any], game: CooperativeMarkovGame, network: BayesianNetwork) -> Any:
    """L_lambda in the arrays of another library: the joint policy by broadcasting, the chain of the policy, one solve."""
    layout, S, A = Layout(network, game.n_states, game.n_actions), game.n_states, game.n_joint
    ends = layout.offsets.tolist()
    kernel = np.asarray(game.joint_kernel()).reshape(S, A, S)
    reward = game.joint_reward().reshape(S, A)
    unit, initial = np.eye(S), game.initial

    def objective(logits: Any) -> Any:
        joint, barrier = 1.0, 0.0
        for i, shape in enumerate(layout.shapes):
            table = log_softmax(logits[ends[i] : ends[i + 1]].reshape(shape))
            barrier = barrier + np_.mean(table) + np.log(shape[-1])
            joint = joint * np_.exp(table).reshape((S, *joint_sides(layout, i)))
        joint = joint.reshape((S, A))
        chain = np_.einsum("sa,sat->st", joint, kernel)
        values = np_.linalg.solve(unit - game.gamma * chain, np_.sum(joint * reward, axis=1))
        return np_.dot(initial, values) + LAM * barrier

    return objective


def autograd_log_softmax(table: Any) -> Any:
    shifted = table - anp.max(table, axis=-1, keepdims=True)
    return shifted - anp.log(anp.sum(anp.exp(shifted), axis=-1, keepdims=True))


def line_rewards(game: CooperativeMarkovGame) -> np.ndarray:
    """(N - 1, m, m) the rewards of neighbours, of a game of one state."""
    return np.stack([one.table[0] for one in game.reward])


def line_by_scan(game: CooperativeMarkovGame) -> Any:
    """L_lambda of a chain over a line with one state, in JAX: the probabilities of each agent from those of the one before."""
    rewards, m = line_rewards(game), game.n_actions[0]

    def objective(logits: Any) -> Any:
        first = jax.nn.log_softmax(logits[:m])
        tables = jax.nn.log_softmax(logits[m:].reshape(-1, m, m), axis=-1)

        def step(before: Any, one: Any) -> Any:
            pair = before[:, None] * jnp.exp(one[0])
            return pair.sum(axis=0), (pair * one[1]).sum()

        gains = jax.lax.scan(step, jnp.exp(first), (tables, rewards))[1]
        barrier = first.mean() + tables.mean(axis=(1, 2)).sum() + len(game.n_actions) * np.log(m)
        return gains.sum() / (1.0 - game.gamma) + LAM * barrier

    return objective


def line_by_loop(np_: Any, log_softmax: Callable[[Any], Any], game: CooperativeMarkovGame) -> Any:
    """The same as a loop, which JAX unrolls and autograd records."""
    rewards, m = line_rewards(game), game.n_actions[0]

    def objective(logits: Any) -> Any:
        first = log_softmax(logits[:m])
        tables = log_softmax(logits[m:].reshape((-1, m, m)))
        steps = np_.exp(tables)
        before, gain = np_.exp(first), 0.0
        for k in range(len(rewards)):
            pair = before[:, None] * steps[k]
            gain = gain + np_.sum(pair * rewards[k])
            before = np_.sum(pair, axis=0)
        barrier = np_.mean(first) + np_.sum(np_.mean(tables, axis=(1, 2))) + len(game.n_actions) * np.log(m)
        return gain / (1.0 - game.gamma) + LAM * barrier

    return objective


def by_jax(objective: Any, size: int) -> Answers:
    """Compiled anew at every call."""
    jax.clear_caches()
    compiled = jax.jit(jax.value_and_grad(lambda logits: objective(logits))).lower(jnp.zeros(size)).compile()

    def answer(logits: np.ndarray) -> Answer:
        value, gradient = compiled(logits)
        return float(value), np.asarray(gradient)

    return answer


def by_enumeration(game: CooperativeMarkovGame, network: BayesianNetwork) -> Answers:
    """Lemma 1 over the table of all joint actions: d(s) pi(a | s) (Q - V) summed onto every family, then less its mean."""
    layout, S, A = Layout(network, game.n_states, game.n_actions), game.n_states, game.n_joint
    kernel, reward = np.asarray(game.joint_kernel()).reshape(S, A, S), game.joint_reward().reshape(S, A)

    def answer(logits: np.ndarray) -> Answer:
        tables = [one - np.log(np.exp(one).sum(axis=-1, keepdims=True)) for one in layout.tables(logits)]
        policies = [np.exp(one) for one in tables]
        joint = np.ones((S, *game.n_actions))
        for i, pi in enumerate(policies):
            joint *= pi.reshape((S, *joint_sides(layout, i)))
        flat = joint.reshape(S, A)
        system = np.eye(S) - game.gamma * np.einsum("sa,sat->st", flat, kernel)
        values, visits = np.linalg.solve(system, (flat * reward).sum(axis=1)), np.linalg.solve(system.T, game.initial)
        weight = (visits[:, None] * flat * (reward + game.gamma * kernel @ values - values[:, None])).reshape(joint.shape)
        parts, barrier = [], 0.0
        for i, pi in enumerate(policies):
            family = network.family(i)
            onto = weight.sum(axis=tuple(j + 1 for j in range(game.n_agents) if j not in family))
            rows, m = pi.size // pi.shape[-1], pi.shape[-1]
            parts.append(onto - pi * onto.sum(axis=-1, keepdims=True) + LAM / rows * (1.0 / m - pi))
            barrier += tables[i].mean() + np.log(m)
        return float(game.initial @ values + LAM * barrier), np.concatenate([one.reshape(-1) for one in parts])

    return answer


def compare(bench: Bench, size: str, makers: dict[str, Callable[[], Answers]], entries: int) -> None:
    """Check that all agree, then time the making and ten gradients."""
    rng = np.random.default_rng(0)
    points = [rng.standard_normal(entries) for _ in range(CALLS)]
    answers = {name: make() for name, make in makers.items()}
    first = next(iter(answers.values()))(points[0])
    apart = 0.0
    for name, answer in answers.items():
        value, gradient = answer(points[0])
        error = max(abs(value - first[0]), float(np.abs(gradient - first[1]).max()))
        if not error <= AGREE:
            raise AssertionError(f"{size}: {name} is {error:.2g} away from {next(iter(answers))}")
        apart = max(apart, error)
    if len(answers) > 1:
        print(f"  {size}: {entries:,} logits; all within {apart:.1e}", flush=True)
    bench.compare(size, "build", makers, repeats=3)

    def in_a_row(answer: Answers) -> Callable[[], None]:
        def run() -> None:
            for point in points:
                answer(point)

        return run

    bench.compare(size, f"{CALLS} grads", {name: in_a_row(answer) for name, answer in answers.items()})


@case("cooperative-gradient")
def run(bench: Bench) -> None:
    """Value and gradient: 14 agents x 2 actions, 3 states, dense kernel; 50 agents x 5 actions on a line, chain; 10 at a time."""
    game = random_cooperative(3, (2,) * (6 if bench.quick else 14), gamma=GAMMA)
    for kind in ("dense", "chain", "product"):
        network = as_network(kind, game.n_agents)
        entries = Layout(network, game.n_states, game.n_actions).size
        natural = over_joint_actions(jnp, jax.nn.log_softmax, game, network)
        recorded = over_joint_actions(anp, autograd_log_softmax, game, network)
        makers = {
            "eqsolve": lambda n=network: ours(game, n),
            "eqsolve, numpy twin": lambda n=network: ours(game, n, compiled=False),
            "JAX, jitted": lambda f=natural, D=entries: by_jax(f, D),
            "autograd": lambda f=recorded: autograd.value_and_grad(f),
            "enumeration, numpy": lambda n=network: by_enumeration(game, n),
        }
        compare(bench, f"{game.n_agents} x 2, S = 3, {kind}", makers, entries)
    line = coordination_line(10 if bench.quick else 50, 5)
    chain = BayesianNetwork.chain(line.n_agents)
    entries = Layout(chain, 1, line.n_actions).size
    makers = {
        "eqsolve": lambda: ours(line, chain),
        "eqsolve, numpy twin": lambda: ours(line, chain, compiled=False),
        "JAX, jitted scan": lambda: by_jax(line_by_scan(line), entries),
        "JAX, jitted, unrolled": lambda: by_jax(line_by_loop(jnp, jax.nn.log_softmax, line), entries),
        "autograd": lambda: autograd.value_and_grad(line_by_loop(anp, autograd_log_softmax, line)),
    }
    size = f"line of {line.n_agents} x 5, chain"
    print(f"  {size}: no enumeration, {in_words(line.n_joint)} joint actions", flush=True)
    compare(bench, size, makers, entries)


def window_network(n_agents: int, width: int) -> BayesianNetwork:
    """Every agent sees the ``width - 1`` agents before it."""
    return BayesianNetwork(tuple(tuple(range(max(0, i - width + 1), i)) for i in range(n_agents)))


@case("cooperative-growth")
def growth(bench: Bench) -> None:
    """The gradient by number of agents, actions, states and by treewidth; 10 at a time."""
    quick = bench.quick
    for N in (10, 50) if quick else (10, 20, 50, 100, 200, 500):
        _line(bench, coordination_line(N, 3))
    for m in (2, 5) if quick else (2, 5, 10, 20):
        _line(bench, coordination_line(50, m))
    for N in (4, 8) if quick else (4, 8, 12, 14, 16):
        game, network = random_cooperative(3, (2,) * N, gamma=GAMMA), BayesianNetwork.dense(N)
        entries = Layout(network, 3, game.n_actions).size
        makers = {
            "eqsolve": lambda g=game, n=network: ours(g, n),
            "enumeration, numpy": lambda g=game, n=network: by_enumeration(g, n),
        }
        compare(bench, f"dense kernel, N = {N}, m = 2, S = 3", makers, entries)
    for width in (2, 4) if quick else range(2, 9):
        game = random_factored(3, (2,) * 30, scope=width, gamma=GAMMA)
        for kind, network in (("chain", BayesianNetwork.chain(30)), ("windows", window_network(30, width))):
            _alone(bench, f"N = 30, S = 3, scopes of {width}, {kind}", game, network)
    for S in (2, 10) if quick else (2, 5, 10, 20, 50, 100):
        _alone(bench, f"pairs, N = 30, S = {S}, chain", random_factored(S, (2,) * 30, gamma=GAMMA), BayesianNetwork.chain(30))
    for S in (2, 10) if quick else (2, 5, 10, 20, 50, 100, 200):
        _alone(bench, f"dense kernel, N = 8, S = {S}", random_cooperative(S, (2,) * 8, gamma=GAMMA), BayesianNetwork.dense(8))


def _line(bench: Bench, game: CooperativeMarkovGame) -> None:
    chain = BayesianNetwork.chain(game.n_agents)
    entries = Layout(chain, 1, game.n_actions).size
    makers = {"eqsolve": lambda: ours(game, chain), "JAX, jitted scan": lambda: by_jax(line_by_scan(game), entries)}
    compare(bench, f"line, N = {game.n_agents}, m = {game.n_actions[0]}", makers, entries)


def _alone(bench: Bench, size: str, game: CooperativeMarkovGame, network: BayesianNetwork) -> None:
    compare(bench, size, {"eqsolve": lambda: ours(game, network)}, Layout(network, game.n_states, game.n_actions).size)
