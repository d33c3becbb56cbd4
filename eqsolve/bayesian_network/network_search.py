"""Which edges are worth having: the network of largest objective within a budget of edges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, product
from math import comb
from typing import Any, Literal

import numpy as np

from eqsolve.arrays import FloatArray, IntArray, frozen, whole_number
from eqsolve.bayesian_network.ascent import BarrierAscent, theorems
from eqsolve.bayesian_network.barrier_iteration import AgentwiseBarrierIteration
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.network import BayesianNetwork, Edges, InvalidNetwork
from eqsolve.bayesian_network.policy import BayesianNetworkPolicy
from eqsolve.bayesian_network.programs import named_program
from eqsolve.bayesian_network.result import NetworkResult
from eqsolve.certificates import Bound
from eqsolve.driver import Algorithm, Record, Result, Run, Status
from eqsolve.driver.algorithm import selected
from eqsolve.driver.report import Line, entry
from eqsolve.errors import unknown
from eqsolve.programs import Program

Search = Literal["greedy", "exhaustive"]
SEARCHES = ("greedy", "exhaustive")
LARGEST = 200_000
"""Sets of edges that an exhaustive search looks at, at most."""
BATCH = 16
"""Networks per iteration of an exhaustive search."""
NOTHING = 1e-7
"""Gain, in units of the objective's scale, that no edge is added for."""


@dataclass(frozen=True, slots=True, eq=False)
class Climbed:
    """What a method reached over one network.

    Parameters
    ----------
    edges : of the network. logits : (D,) of the policy. objective : L_lambda. value : V(mu).
    """

    edges: Edges
    logits: FloatArray
    objective: float
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Where a search stands.

    Parameters
    ----------
    best : over the best network so far. added : (E, 2) its edges, of a greedy search in the order in which they were added.
    gains, value_gains : (E,) by how much L_lambda and V(mu) grew with each; of an exhaustive search, what is lost without it.
    objectives, values : (E + 1,) L_lambda and V(mu) over the best network found with no, one, ... edges.
    looked_at : networks tried. over : whether the search is complete.
    """

    best: Climbed
    added: IntArray
    gains: FloatArray
    value_gains: FloatArray
    objectives: FloatArray
    values: FloatArray
    looked_at: int
    over: bool


class SearchResult(NetworkResult):
    """The network found, and what every edge of it is worth."""

    __slots__ = ()

    def lines(self) -> list[Line]:
        """One line per edge, the most valuable ones first."""
        state: Found = self.state
        lines = [
            *NetworkResult.lines(self),
            (entry("objective", f"{state.best.objective:,.6g}", f"{state.looked_at:,} networks"), ""),
        ]
        order = np.argsort(-state.gains, kind="stable")[:10]
        for k in order.tolist():
            j, i = state.added[k].tolist()
            edge = f"{self.game.agent_label(j)} -> {self.game.agent_label(i)}"
            lines.append((entry("edge", f"{state.gains[k]:+.4g}", edge), f"value {state.value_gains[k]:+.4g}"))
        return lines

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """With ``edges.csv``, what every edge is worth, and ``budget.csv``, what so many edges are worth."""
        state: Found = self.state
        edges: list[tuple[Any, ...]] = [("parent", "child", "gain", "value gain")]
        for (j, i), *gains in zip(state.added.tolist(), state.gains.tolist(), state.value_gains.tolist(), strict=True):
            edges.append((self.game.agent_label(j), self.game.agent_label(i), *gains))
        reached = zip(state.objectives.tolist(), state.values.tolist(), strict=True)
        budget: list[tuple[Any, ...]] = [("edges", "objective", "value"), *((k, *one) for k, one in enumerate(reached))]
        return NetworkResult.tables(self) | {"edges.csv": edges, "budget.csv": budget}

    def details(self) -> dict[str, Any]:
        """With the edges and their gains."""
        state: Found = self.state
        gains = [{"edge": edge, "gain": float(gain)} for edge, gain in zip(state.added.tolist(), state.gains, strict=True)]
        return NetworkResult.details(self) | {"edge_gains": gains, "networks": state.looked_at}


@dataclass(frozen=True, slots=True)
class NetworkSearch(Algorithm[CooperativeMarkovGame, Found, BayesianNetworkPolicy]):
    """Choose the edges of the network, and tell what each is worth.

    The worth of a network is the largest L_lambda that the method reaches over it, from the policy of the network with one edge
    less and from ``starts`` random ones. (Without a barrier no edge is worth anything to a perfect optimiser: some deterministic
    joint action is best in every state, and a product policy plays it. What edges buy is coordination while every action keeps
    being tried, and a way past the poor equilibria in which product policies get stuck.)

    Parameters
    ----------
    edges : the budget, at least 0. lam : lambda > 0.
    search : ``"greedy"`` adds the edge of largest gain until the budget is spent or no edge gains; ``"exhaustive"`` tries every set
        of edges within the budget, of several networks that stand for the same joint policies one, for few agents; the gain of an
        edge is then what the objective loses without it.
    starts : random starts per network. rounds : iterations of a climb at most.

    Raises
    ------
    InvalidData : a parameter out of range. UnknownName : another search.

    Notes
    -----
    Candidates are independent and go through ``n_jobs``. Objectives are exact values of policies that a local method found: true
    lower bounds of what a network can reach.
    """

    edges: int = 3
    lam: float = 0.1
    search: Search = "greedy"
    starts: int = 2
    rounds: int = 500

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "edges", whole_number("edges", self.edges, 0))
        put(self, "starts", whole_number("starts", self.starts, 1))
        put(self, "rounds", whole_number("rounds", self.rounds, 1))
        AgentwiseBarrierIteration(lam=self.lam)
        if self.search not in SEARCHES:
            raise unknown("search", self.search, SEARCHES)

    def init(self, game: CooperativeMarkovGame, run: Run) -> Found:
        """The best product policy."""
        if self.search == "exhaustive":
            N = game.n_agents
            pairs = N * (N - 1) // 2
            sets = sum(comb(pairs, k) * 2**k for k in range(min(self.edges, pairs) + 1))
            if sets > LARGEST:
                raise InvalidNetwork(
                    f"{N} agents have {sets:,} sets of at most {self.edges} edges",
                    f"At most {LARGEST:,} are tried; use 'greedy'.",
                )
        best = climb((), game, self._method(()), self.starts, self.rounds, run.seed, None)
        none, empty = frozen(np.zeros((0, 2), dtype=np.int64)), frozen(np.zeros(0))
        reached = frozen(np.asarray([best.objective])), frozen(np.asarray([best.value]))
        return Found(best, none, empty, empty, *reached, 1, not self.edges)

    def step(self, game: CooperativeMarkovGame, state: Found, run: Run) -> tuple[Found, Record]:
        """One more edge, or one more batch of networks."""
        run.remaining()
        found = self._greedy(game, state, run) if self.search == "greedy" else self._exhaustive(game, state, run)
        record = {
            "edges": len(found.best.edges),
            "objective": found.best.objective,
            "value": found.best.value,
            "gain": found.best.objective - state.best.objective,
            "networks": found.looked_at,
        }
        return found, record

    def done(self, game: CooperativeMarkovGame, state: Found) -> Status | None:
        """Converged when the budget is spent, or no edge gains."""
        return Status.CONVERGED if state.over else None

    def finish(self, game: CooperativeMarkovGame, state: Found, run: Run) -> BayesianNetworkPolicy:
        """The policy over the best network so far."""
        return _policy(game, state.best)

    def bounds(self, game: CooperativeMarkovGame, state: Found, policy: BayesianNetworkPolicy) -> tuple[Bound, ...]:
        """What the theorems promise at the policy."""
        return theorems(game, policy, self.lam)

    def program(self, result: Result[CooperativeMarkovGame, Found, BayesianNetworkPolicy], *which: Any) -> Program:
        """A program of the game; see ``named_program``."""
        return named_program(result.game, self.lam, *which)

    def select(self, game: CooperativeMarkovGame, selector: str, solved: Callable[[], Any]) -> Program:
        """The same; nothing needs to be solved for it."""
        return named_program(game, self.lam, *selected(selector))

    def result_class(self) -> type[SearchResult]:
        """A result with the worth of the edges."""
        return SearchResult

    def _method(self, edges: Edges) -> BarrierAscent:
        return AgentwiseBarrierIteration(edges, self.lam, second_order=False, simultaneous=True)

    def _gains(self, game: CooperativeMarkovGame, gain: float) -> bool:
        return gain > NOTHING * max(self.lam, game.value_span)

    def _greedy(self, game: CooperativeMarkovGame, state: Found, run: Run) -> Found:
        network = BayesianNetwork.from_edges(game.n_agents, state.best.edges)
        present = set(state.best.edges)
        candidates = [
            (j, i)
            for j, i in product(range(game.n_agents), repeat=2)
            if j != i and (j, i) not in present and not network.creates_cycle(j, i)
        ]
        start = _policy(game, state.best)
        tried = run.map(partial(_with_edge, game=game, search=self, network=network, seed=run.seed, start=start), candidates)
        looked_at = state.looked_at + len(tried)
        best = max(tried, key=lambda one: one.objective, default=None)
        if best is None or not self._gains(game, best.objective - state.best.objective):
            return replace(state, looked_at=looked_at, over=True)
        edge = next(iter(set(best.edges) - present))
        return Found(
            best,
            frozen(np.vstack([state.added, [edge]])),
            frozen(np.append(state.gains, best.objective - state.best.objective)),
            frozen(np.append(state.value_gains, best.value - state.best.value)),
            frozen(np.append(state.objectives, best.objective)),
            frozen(np.append(state.values, best.value)),
            looked_at,
            len(best.edges) >= self.edges,
        )

    def _exhaustive(self, game: CooperativeMarkovGame, state: Found, run: Run) -> Found:
        networks: list[Edges] = run.derived("networks", lambda: list(distinct_networks(game.n_agents, self.edges)))
        batch = networks[state.looked_at : state.looked_at + BATCH]
        tried = run.map(partial(_over, game=game, search=self, seed=run.seed), batch)
        best, reached = state.best, list(zip(state.objectives.tolist(), state.values.tolist(), strict=True))
        for one in tried:  # fewest edges first, so that of networks that are worth the same the first has the fewest
            if len(one.edges) == len(reached):
                reached.append(reached[-1])
            if self._gains(game, one.objective - best.objective):
                best = one
                reached[-1] = (best.objective, best.value)
        looked_at = state.looked_at + len(batch)
        objectives, values = (frozen(np.asarray(one)) for one in zip(*reached, strict=True))
        if looked_at < len(networks):
            return replace(state, best=best, objectives=objectives, values=values, looked_at=looked_at)
        edges = best.edges
        without = run.map(
            partial(_over, game=game, search=self, seed=run.seed), [tuple(one for one in edges if one != left) for left in edges]
        )
        losses = frozen(np.asarray([best.objective - one.objective for one in without]))
        value_losses = frozen(np.asarray([best.value - one.value for one in without]))
        added, K = frozen(np.asarray(edges, dtype=np.int64).reshape(-1, 2)), len(edges)
        return Found(best, added, losses, value_losses, objectives[: K + 1], values[: K + 1], looked_at, True)


def distinct_networks(n_agents: int, budget: int) -> Iterator[Edges]:
    """The edges of one network of every class that stands for the same joint policies, fewest edges first.

    Two networks stand for the same joint policies exactly when they have the same edges up to direction and the same pairs of
    parents that are not joined (Verma and Pearl 1990).
    """
    pairs = list(combinations(range(n_agents), 2))
    seen: set[Any] = set()
    for k in range(min(budget, len(pairs)) + 1):
        for chosen in combinations(pairs, k):
            joined = set(chosen)
            for turned in product((False, True), repeat=k):
                edges = tuple((i, j) if back else (j, i) for (j, i), back in zip(chosen, turned, strict=True))
                try:
                    network = BayesianNetwork.from_edges(n_agents, edges)
                except InvalidNetwork:  # a cycle
                    continue
                meeting = frozenset(
                    (i, pair) for i in range(n_agents) for pair in combinations(network.parents[i], 2) if pair not in joined
                )
                if (chosen, meeting) not in seen:
                    seen.add((chosen, meeting))
                    yield network.edges


def climb(
    edges: Edges,
    game: CooperativeMarkovGame,
    method: BarrierAscent,
    starts: int,
    rounds: int,
    seed: int,
    start: BayesianNetworkPolicy | None,
) -> Climbed:
    """The best that a method reaches over a network from random starts (the first one near the uniform policy) and a given one."""
    best: Climbed | None = None
    method = replace(method, network=edges)
    run = Run(seed=seed)
    objective = method.objective(game, run)
    size = objective.evaluator.layout.size
    begins = [(method.perturb if k == 0 else 1.0) * run.rng(2 + k).standard_normal(size) for k in range(starts)]
    if start is not None:
        begins.append(objective.start(start))
    for logits in begins:
        state = method.begin(game, logits, run)
        for k in range(rounds):
            if method.done(game, state) is not None:
                break
            run.iteration = k
            state = method.step(game, state, run)[0]
        if best is None or state.objective > best.objective:
            best = Climbed(BayesianNetwork.from_edges(game.n_agents, edges).edges, state.logits, state.objective, state.value)
    assert best is not None
    return best


def _with_edge(
    edge: tuple[int, int],
    game: CooperativeMarkovGame,
    search: NetworkSearch,
    network: BayesianNetwork,
    seed: int,
    start: BayesianNetworkPolicy,
) -> Climbed:
    edges = network.with_edge(*edge).edges
    return climb(edges, game, search._method(edges), search.starts, search.rounds, seed, start)


def _over(edges: Edges, game: CooperativeMarkovGame, search: NetworkSearch, seed: int) -> Climbed:
    return climb(edges, game, search._method(edges), search.starts, search.rounds, seed, None)


def _policy(game: CooperativeMarkovGame, found: Climbed) -> BayesianNetworkPolicy:
    from eqsolve.bayesian_network.layout import Layout

    layout = Layout(BayesianNetwork.from_edges(game.n_agents, found.edges), game.n_states, game.n_actions)
    return BayesianNetworkPolicy(layout.network, layout.tables(np.exp(layout.log_softmax(found.logits))))
