"""Chen et al., Convergence Rates of Bayesian Network Policy Gradient for Cooperative Multi-Agent Reinforcement Learning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import inf, log10
from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.bayesian_network.ascent import SADDLE, BarrierAscent
from eqsolve.bayesian_network.barrier_iteration import AgentwiseBarrierIteration, BarrierPolicyIteration
from eqsolve.bayesian_network.bn_policy_gradient import BNPolicyGradient
from eqsolve.bayesian_network.bounds import (
    NashVariant,
    OptimalVariant,
    iterations_nash,
    iterations_optimal,
    mismatch,
    promised_nash,
    promised_optimal,
    smoothness,
)
from eqsolve.bayesian_network.certificate import nash_gap, optimality_gap
from eqsolve.bayesian_network.evaluation import Evaluator, evaluate
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.generators import climbing_game, coordination_line, penalty_game, random_cooperative
from eqsolve.bayesian_network.lbfgs import LBFGS
from eqsolve.bayesian_network.network import BayesianNetwork, as_network
from eqsolve.bayesian_network.network_search import NetworkSearch
from eqsolve.bayesian_network.objective import Objective, policy_gradient
from eqsolve.bayesian_network.policy import BayesianNetworkPolicy
from eqsolve.driver import Run
from eqsolve.plotting import bayesian_network as figures
from eqsolve.reproduce.claims import Claims
from eqsolve.reproduce.parts import Part, Row, Work

LAMBDAS = (1.0, 0.1, 0.01)
NASH: tuple[NashVariant, ...] = ("paper", "corrected", "sharp")
OPTIMAL: tuple[OptimalVariant, ...] = ("paper", "corrected", "telescoped")
STEP = 1e-5
"""Of the finite differences, in logits."""


def parts(work: Work) -> Iterator[Part]:
    """The parts of the reproduction."""
    known: dict[str, Sequence[Row]] = {}
    steps: tuple[Callable[[], Part], ...] = (
        lambda: stuck(work),
        lambda: convergence(work),
        lambda: theorems(work, known["convergence"]),
        lambda: structure(work),
        lambda: gradients(work),
        lambda: stationary(work),
    )
    for make in steps:
        part = make()
        known[part.name] = part.rows
        yield part
    yield claims(known)


def stuck(work: Work) -> Part:
    """Product policies against dense ones, from the uniform policy and from near it, by two methods."""
    games = {"penalty, k = -10": penalty_game(-10.0), "penalty, k = -100": penalty_game(-100.0), "climbing": climbing_game()}
    rows: list[Row] = []
    for (name, game), lam in product(games.items(), LAMBDAS):
        work.show(f"product against dense: {name}, lambda {lam:g}")
        methods: list[BarrierAscent] = [
            LBFGS("product", lam),
            AgentwiseBarrierIteration("product", lam),
            LBFGS("dense", lam),
            BarrierPolicyIteration("dense", lam),
        ]
        for method in methods:
            starts = [(replace(method, perturb=0.0), "uniform", work.seed)]
            starts += [(method, "near uniform", work.seed + k) for k in range(1 if work.quick else 10)]
            for chosen, start, seed in starts:
                rows.append({"game": name, "start": start, "seed": seed} | _ascended(work.solve(game, chosen, seed), lam))
    head = ("game", "lambda", "network", "least value", "Nash gap", "optimality gap", "lambda M", "stuck: L-BFGS", "stuck: barrier")
    shown: list[Sequence[str]] = [(*head, "second order")]
    for name, lam, network in product(games, LAMBDAS, ("product", "dense")):
        here = [row for row in rows if (row["game"], row["lambda"], row["network"]) == (name, lam, network)]
        numbers = [f"{min(row['value'] for row in here):.5g}"]
        numbers += [f"{max(row[key] for row in here):.4g}" for key in ("nash_gap", "optimality_gap", "lambda_M")]
        for by in (True, False):
            found = [row["stuck"] for row in here if (row["method"] == "LBFGS") == by]
            numbers.append(f"{sum(found)} of {len(found)}")
        shown.append((name, f"{lam:g}", network, *numbers, ", ".join(sorted({row["second_order"] for row in here}))))
    certified = sum(row["certified"] for row in rows)
    drawn = {"stuck": figures.stuck_figure(rows)}
    return Part("stuck", "Product against dense policies (the worst of all starts)", rows, shown, drawn, len(rows), certified)


def _ascended(result: Any, lam: float) -> Row:
    """What a run that climbed L_lambda reached."""
    game, state, network = result.game, result.state, result.algorithm.network
    nash, best = result.gap, result.optimality
    pays = lam * mismatch(game).value
    return {
        "network": network,
        "method": type(result.algorithm).__name__,
        "lambda": lam,
        "lambda_M": pays,
        "status": str(result.status),
        "certified": result.is_converged and nash.method == best.method == "exact",
        "value": result.value,
        "nash_gap": nash.upper,
        "optimality_gap": best.upper,
        "stuck": nash.upper <= pays and best.upper > game.n_agents * pays,
        "curvature": state.curvature,
        "second_order": "maximum" if state.curvature <= SADDLE * result.algorithm.scale(game) else "saddle",
        "saddles_left": state.escapes,
        "iterations": result.iterations,
    }


@dataclass(frozen=True, slots=True)
class Climb:
    """A game for the policy gradient.

    Parameters
    ----------
    name, game : the game. M : its mismatch coefficient. networks : by name. pays : lambda M.
    """

    name: str
    game: CooperativeMarkovGame
    M: float
    networks: tuple[str, ...]
    pays: float

    def runs(self) -> list[tuple[str, BayesianNetwork, float]]:
        """Name, network and lambda of the runs; Theorem 2 as printed sets a lambda of its own."""
        graphs = {name: as_network(name, self.game.n_agents) for name in self.networks}
        found = [(name, graph, self.pays / self.M) for name, graph in graphs.items()]
        printed = iterations_optimal(self.game, graphs["dense"], self.pays, self.M, "paper").lam
        return [*found, (PRINTED, graphs["dense"], printed)]


PRINTED = "dense, printed lambda"
WORTH_COMPILING = 5000
"""Steps that take longer than loading the compiler."""


class Compiled(BNPolicyGradient):
    """The same over compiled passes, whatever the size of the game."""

    __slots__ = ()

    def evaluator(self, game: CooperativeMarkovGame) -> Evaluator:
        """The game laid out for compiled passes."""
        return Evaluator.of(game, as_network(self.network, game.n_agents), compiled=True)


def climbs(work: Work) -> list[Climb]:
    """Small games whose gaps can be followed over thousands of steps."""
    two, three = (random_cooperative(2, (2,) * N, gamma=0.5, seed=work.seed) for N in (2, 3))
    games = {"random, 2 agents": (two, 0.05), "random, 3 agents": (three, 0.05), "penalty, k = -100": (penalty_game(-100.0), 0.5)}
    networks = {2: ("product", "dense"), 3: ("product", "chain", "dense")}
    return [Climb(name, game, mismatch(game).value, networks[game.n_agents], pays) for name, (game, pays) in games.items()]


def convergence(work: Work) -> Part:
    """The gaps along the policy gradient with stepsize 1 / beta from the uniform policy, at some iterations."""
    steps = 400 if work.quick else 20_000
    marks = np.unique(np.logspace(0, log10(steps), 7 if work.quick else 41).round().astype(int)).tolist()
    rows: list[Row] = []
    ends: list[Row] = []
    exact = 0
    for climb in climbs(work):
        for name, graph, lam in climb.runs():
            work.show(f"policy gradient: {climb.name}, {name}")
            path = _path(climb, name, graph, lam, marks, work.seed)
            exact += all(row["exact"] for row in path)
            rows += path
            ends.append(path[-1])
    head = ("game", "network", "lambda", "T", "least Nash gap", "promised", "least optimality gap", "promised")
    promises = ("least_nash_gap", "theorem_1_corrected", "least_optimality_gap", "theorem_2_telescoped")
    shown: list[Sequence[str]] = [head]
    for row in ends:
        numbers = ["" if row[key] is None else f"{row[key]:.3g}" for key in promises]
        shown.append((row["game"], row["network"], f"{row['lambda']:.3g}", f"{row['T']:,}", *numbers))
    own = [row for row in rows if row["network"] != PRINTED]
    drawn = {"convergence": figures.convergence_figure(own), "bounds": figures.bounds_figure(own, _promises(work))}
    title = "Policy gradient with stepsize 1 / beta from the uniform policy, and what Theorems 1 and 2 promise by then"
    return Part("convergence", title, rows, shown, drawn, len(ends), exact)


def _path(climb: Climb, name: str, graph: BayesianNetwork, lam: float, marks: Sequence[int], seed: int) -> list[Row]:
    """The judge's gaps of the last of the first T iterates, at some T, with the least so far and the promises for T."""
    game, run, rows, least, at = climb.game, Run(seed=seed), list[Row](), {"nash": inf, "optimality": inf}, 1
    kind = Compiled if marks[-1] > WORTH_COMPILING else BNPolicyGradient
    method = kind(graph.edges, lam, tolerance=1e-300, perturb=0.0, step_size=1.0 / smoothness(game, graph, lam))
    state, objective = method.init(game, run), method.objective(game, run)
    for T in marks:
        while at < T:
            state, at = method.step(game, state, run)[0], at + 1
        policy = objective.policy(np.exp(state.logits))
        gaps = {"nash": nash_gap(game, policy), "optimality": optimality_gap(game, policy)}
        least = {key: min(least[key], gap.upper) for key, gap in gaps.items()}
        row: Row = {"game": climb.name, "network": name, "lambda": lam, "M": climb.M, "span": game.value_span, "T": T}
        row |= {f"{key}_gap": gap.upper for key, gap in gaps.items()} | {f"least_{key}_gap": gap for key, gap in least.items()}
        row |= {f"theorem_1_{one}": promised_nash(game, graph, T, climb.M, one) for one in NASH}
        for two in OPTIMAL:
            row[f"theorem_2_{two}"] = promised_optimal(game, graph, T, climb.M, two) if graph.is_dense else None
        rows.append(row | {"exact": all(gap.method == "exact" for gap in gaps.values())})
    return rows


def _promises(work: Work) -> list[Row]:
    """What the theorems promise after so many steps over the dense network, each with the lambda that it sets for them."""
    found: list[Row] = []
    for one, T in product(climbs(work), np.logspace(0, 15, 61).tolist()):
        graph = BayesianNetwork.dense(one.game.n_agents)
        gaps = {("theorem 1", str(form)): promised_nash(one.game, graph, T, one.M, form) for form in NASH}
        gaps |= {("theorem 2", str(two)): promised_optimal(one.game, graph, T, one.M, two) for two in OPTIMAL}
        found += [{"game": one.name, "theorem": key[0], "variant": key[1], "T": T, "gap": gap} for key, gap in gaps.items()]
    return found


def theorems(work: Work, paths: Sequence[Row]) -> Part:
    """How many steps each theorem asks for, and after how many a run with its lambda had the gap."""
    found: list[Row] = []
    head = ("game", "network", "theorem", "gap", "lambda", "steps asked", "steps needed", "orders of magnitude")
    shown: list[Sequence[str]] = [head]
    for climb in climbs(work):
        for name, graph, lam in climb.runs():
            here = [row for row in paths if (row["game"], row["network"]) == (climb.name, name)]
            for theorem, variant, eps, asked in _asked(climb, name, graph):
                key = "least_nash_gap" if theorem == "theorem 1" else "least_optimality_gap"
                needed = next((row["T"] for row in here if row[key] <= eps), None)
                orders = None if needed is None else log10(asked / needed)
                row: Row = {"game": climb.name, "network": name, "theorem": theorem, "variant": variant, "gap": eps, "lambda": lam}
                found.append(row | {"asked": asked, "needed": needed, "orders": orders})
                told = (f"{theorem}, {variant}", f"{eps:g}", f"{lam:.3g}", f"{asked:.2g}")
                last = (f"over {here[-1]['T']:,}", "") if orders is None else (f"{needed:,}", f"{orders:.1f}")
                shown.append((climb.name, name, *told, *last))
    return Part("theorems", "Steps that the theorems ask for, and steps after which the gap was reached", found, shown)


def _asked(climb: Climb, name: str, graph: BayesianNetwork) -> Iterator[tuple[str, str, float, float]]:
    """Theorem, form, gap and steps, of the forms that set the lambda of a run."""
    nash: tuple[NashVariant, ...] = () if name == PRINTED else ("paper", "corrected")
    best: tuple[OptimalVariant, ...] = ("paper", "corrected") if name == PRINTED else ("telescoped",)
    eps = 2.0 * climb.pays
    for one in nash:
        yield "theorem 1", one, eps, iterations_nash(climb.game, graph, eps, climb.M, one).count
    for two in best if graph.is_dense else ():
        yield "theorem 2", two, climb.pays, iterations_optimal(climb.game, graph, climb.pays, climb.M, two).count


def structure(work: Work) -> Part:
    """What edges are worth: what each adds in a greedy search, what is lost without it in an exhaustive one."""
    line = coordination_line(4 if work.quick else 5, 2 if work.quick else 3)
    searches = {
        "penalty, 3 agents": (
            penalty_game(-10.0, agents=3),
            NetworkSearch(2 if work.quick else 3, 0.1, starts=1 if work.quick else 2),
        ),
        f"line, {line.n_agents} agents": (line, NetworkSearch(2 if work.quick else 6, 0.1, starts=1)),
    }
    if not work.quick:
        game = searches["penalty, 3 agents"][0]
        # From more starts product policies get past the safe action too, and edges are worth less.
        searches["penalty, 3 agents, exhaustive, 5 starts"] = (game, NetworkSearch(3, 0.1, "exhaustive", starts=5))
    rows: list[Row] = []
    exact = 0
    for name, (game, search) in searches.items():
        work.show(f"structure: {name}")
        result = work.solve(game, search)
        exact += result.is_converged and result.gap.method == "exact"
        state = result.state
        added = ["", *(f"{j} -> {i}" for j, i in state.added.tolist())]
        columns = {"objective": state.objectives, "value": state.values}
        columns |= {"gain": np.append(0.0, state.gains), "value_gain": np.append(0.0, state.value_gains)}
        for k, edge in enumerate(added):
            row: Row = {"game": name, "agents": game.n_agents, "search": search.search, "edges": k, "edge": edge}
            rows.append(row | {key: float(column[k]) for key, column in columns.items()})
    shown: list[Sequence[str]] = [("game", "edges", "edge", "objective", "gain", "value", "gain")]
    for row in rows:
        numbers = (f"{row['objective']:.5g}", f"{row['gain']:+.3g}", f"{row['value']:.5g}", f"{row['value_gain']:+.3g}")
        first = (numbers[0], "", numbers[2], "")
        shown.append((row["game"], str(row["edges"]), row["edge"], *(numbers if row["edges"] else first)))
    drawn = {"structure": figures.structure_figure([row for row in rows if row["search"] == "greedy"])}
    return Part("structure", "What edges are worth, lambda 0.1", rows, shown, drawn, len(searches), exact)


def gradients(work: Work) -> Part:
    """Lemma 1 against finite differences, and the barrier as one relative entropy, over several networks."""
    game = random_cooperative(2, (2, 3, 2), gamma=0.5, seed=work.seed)
    rng = np.random.default_rng(work.seed)
    networks = {kind: as_network(kind, 3) for kind in ("product", "chain", "tree", "dense")}
    networks["two parents"] = BayesianNetwork.from_edges(3, [(0, 2), (1, 2)])
    rows: list[Row] = []
    for name, network in networks.items():
        objective = Objective.of(game, network, 0.1)
        layout = objective.evaluator.layout
        theta = rng.standard_normal(layout.size)
        true = np.asarray([_slope(objective, theta, k) for k in range(layout.size)])
        row: Row = {"network": name}
        for variant in ("paper", "corrected"):
            found = layout.flatten(policy_gradient(game, layout.tables(theta), network, 0.1, variant=variant))
            row[f"error_{variant}"] = float(np.linalg.norm(found - true) / np.linalg.norm(true))
        log_pi = layout.log_softmax(theta)
        joint = objective.policy(np.exp(log_pi)).joint()
        row["barrier_error"] = abs(objective.divergence(log_pi) + float(np.log(joint).mean()) + float(np.log(game.n_joint)))
        rows.append(row)
    shown = [("network", "Lemma 1 as printed", "without 1 / (1 - gamma)", "barrier less relative entropy")]
    shown += [(row["network"], *(f"{row[key]:.2g}" for key in ("error_paper", "error_corrected", "barrier_error"))) for row in rows]
    return Part("gradients", "Relative error of the gradient against finite differences, gamma 0.5", rows, shown)


def _slope(objective: Objective, theta: FloatArray, k: int) -> float:
    step = np.zeros_like(theta)
    step[k] = STEP
    return (objective.at(theta + step).objective - objective.at(theta - step).objective) / (2.0 * STEP)


def stationary(work: Work) -> Part:
    """Lemmas 2 and 3 at stationary points over dense networks."""
    games = {"penalty, k = -10": penalty_game(-10.0), "penalty, k = -100": penalty_game(-100.0)}
    games |= {one.name: one.game for one in climbs(work)[:2]}
    rows: list[Row] = []
    for (name, game), lam in product(games.items(), LAMBDAS):
        work.show(f"stationary points: {name}, lambda {lam:g}")
        result = work.solve(game, BarrierPolicyIteration("dense", lam, tolerance=1e-11))
        rows.append({"game": name, "agents": game.n_agents} | _ascended(result, lam) | _lemma_3(game, result.policy, lam))
    head = (
        "game",
        "lambda",
        "Nash gap",
        "optimality gap",
        "lambda M",
        "least 2 |A^i| pi",
        "least 2^N |A^P| pi(a^P)",
        "telescoping",
    )
    shown: list[Sequence[str]] = [head]
    keys = ("lambda", "nash_gap", "optimality_gap", "lambda_M", "pi_ratio", "parents_ratio", "telescoping_error")
    shown += [(row["game"], *(f"{row[key]:.3g}" for key in keys)) for row in rows]
    certified = sum(row["certified"] for row in rows)
    return Part("stationary", "Stationary points over dense networks", rows, shown, {}, len(rows), certified)


def _lemma_3(game: CooperativeMarkovGame, policy: BayesianNetworkPolicy, lam: float) -> Row:
    """What the proof of Lemma 3 claims of a stationary point, and what telescoping does."""
    found, N, S = evaluate(game, policy), game.n_agents, game.n_states
    ratios = [(pi * 2 * m, found.advantages(i) >= 0) for i, (pi, m) in enumerate(zip(policy.tables, game.n_actions, strict=True))]
    parents = [found.visitation(policy.network.parents[i]) / found.visits.reshape(S, *[1] * i) for i in range(N)]
    joint = policy.joint()
    lead = found.action_values(N - 1) - found.values.reshape(S, *[1] * N)
    d = found.visits.reshape(S, *[1] * N)
    telescoped = lam / (S * d) * (1.0 - 1.0 / (joint * game.n_joint))
    return {
        "pi_ratio": min(float(one.min()) for one, _ in ratios),
        "pi_ratio_if_gaining": min(float(one[gains].min()) for one, gains in ratios),
        "parents_ratio": min(float(one.min()) * 2**N * one[0].size for one in parents),
        "telescoping_error": float(np.abs(lead - telescoped).max() / np.abs(telescoped).max()),
    }


def claims(known: dict[str, Sequence[Row]]) -> Part:
    """What reproduces, from the rows of all other parts."""
    runs, paths, gained = known["stuck"], known["convergence"], [row for row in known["structure"] if row["edges"]]
    steps, errors, points = known["theorems"], known["gradients"], known["stationary"]
    told = Claims([])
    caught = [row["stuck"] for row in runs if row["network"] == "product" and row["start"] == "near uniform"]
    counted = f"{sum(caught)} of {len(caught)} runs from near the uniform policy"
    told.tell("section 1", "product policies get stuck at poor Nash equilibria", any(caught), sum(caught) / len(caught), counted)
    top = max(gained, key=lambda row: row["value_gain"])
    better = sum(row["value_gain"] > 0 for row in gained)
    counted = f"{better} of {len(gained)} edges do; {top['edge']} of {top['game']}: {top['value_gain']:+.3g}"
    told.tell("section 1", "edges make better policies", better == len(gained), top["value_gain"], counted)
    apart = [row["barrier_error"] for row in errors]
    told.most("section 4", "the barrier is KL(uniform, joint policy)", apart, 1e-9, "difference at most {:.1g}")
    saddles = [row for row in runs if row["start"] == "uniform" and row["saddles_left"]]
    first = ", ".join(f"{row['game']}, {row['network']}, lambda {row['lambda']:g}" for row in saddles[:1])
    counted = f"{len(saddles)} runs meet one{first and ': '}{first}"
    told.tell("section 4", "ascent from the uniform policy meets no saddle", not saddles, len(saddles), counted)
    wrong, right = ([row[key] for row in errors] for key in ("error_paper", "error_corrected"))
    told.most("Lemma 1", "the gradient as printed, d not normalised", wrong, 1e-6, f"relative error {min(wrong):.2f} to {{:.2f}}")
    told.most("Lemma 1", "the gradient without 1 / (1 - gamma)", right, 1e-6, "relative error at most {:.1g}")
    nash = [row["nash_gap"] / row["lambda_M"] for row in (*runs, *points)]
    told.most("Lemma 2", "Nash gap at most 2 lambda M where stationary", nash, 2.0, "at most {:.3f} lambda M")
    low, gaining, parents = ([row[key] for row in points] for key in ("pi_ratio", "pi_ratio_if_gaining", "parents_ratio"))
    told.least("Lemma 3, (4)", "pi >= 1 / (2 |A^i|)", low, 1.0, "as little as {:.2g} of that")
    told.least("Lemma 3, (4)", "the same where the advantage is not negative", gaining, 1.0, "at least {:.2f} times that")
    told.least("Lemma 3, proof", "pi(a^P) >= 1 / (2^N |A^P|)", parents, 1.0, "as little as {:.2g} of that")
    dense = [row["optimality_gap"] / row["lambda_M"] for row in (*runs, *points) if row["network"] == "dense"]
    printed = [row["optimality_gap"] / (2.0 ** (row["agents"] + 1) * row["agents"] * row["lambda_M"]) for row in points]
    told.most("Lemma 3", "optimality gap at most 2^(N+1) N lambda M", printed, 1.0, "at most {:.2g} of that")
    identity = [row["telescoping_error"] for row in points]
    told.most("telescoped", "Q - V = lambda (1 - 1 / (pi |A|)) / (d |S|)", identity, 1e-3, "relative error at most {:.1g}")
    told.most("telescoped", "optimality gap at most lambda M", dense, 1.0, f"at most {{:.3f}} lambda M in {len(dense)} runs")
    margins = _margins(paths, "least_nash_gap", NASH), _margins(paths, "least_optimality_gap", OPTIMAL)
    orders = "by {:.1f} orders of magnitude or more"
    told.least("Theorem 1", "least Nash gap below every form of the bound, all T", margins[0], 0.0, orders)
    told.least("Theorem 2", "least optimality gap below every form, all T", margins[1], 0.0, orders)
    for theorem, variant in dict.fromkeys((row["theorem"], row["variant"]) for row in steps):
        here = [row["orders"] for row in steps if (row["theorem"], row["variant"]) == (theorem, variant)]
        reached = [one for one in here if one is not None]
        claim = f"the steps of the {variant} form are enough"
        if reached:
            orders = f"{{:.1f}} to {max(reached):.1f} orders of magnitude fewer are ({len(reached)} of {len(here)} runs)"
            told.least(theorem.capitalize(), claim, reached, 0.0, orders)
        else:
            told.tell(theorem.capitalize(), claim, None, inf, "the gap was not reached in the steps made")
    return told.part()


def _margins(rows: Sequence[Row], gap: str, variants: Sequence[str]) -> list[float]:
    """By how many orders of magnitude the least gap is below each of the promises."""
    theorem = "theorem_1" if gap == "least_nash_gap" else "theorem_2"
    pairs = [(row[f"{theorem}_{one}"], max(row[gap], 1e-300)) for row, one in product(rows, variants)]
    return [log10(promised / found) for promised, found in pairs if promised is not None]
