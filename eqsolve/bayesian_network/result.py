"""What the algorithms of this system hand back."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from eqsolve.bayesian_network.certificate import optimality_gap
from eqsolve.bayesian_network.factors import in_words
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.policy import BayesianNetworkPolicy
from eqsolve.certificates import GapCertificate
from eqsolve.driver import ProgramResult, Result
from eqsolve.driver.report import Line, entry
from eqsolve.errors import InvalidGame


@lru_cache(maxsize=4)
def _optimality(game: CooperativeMarkovGame, policy: BayesianNetworkPolicy) -> GapCertificate | None:
    try:
        return optimality_gap(game, policy)
    except InvalidGame:  # the joint space is too large, and the result says that it is not known
        return None


class Cooperative(Result[CooperativeMarkovGame, Any, BayesianNetworkPolicy]):
    """What a result over a network tells beside the Nash gap."""

    __slots__ = ()

    @property
    def optimality(self) -> GapCertificate | None:
        """How much better the best joint policy is; None where the joint space is too large to tell."""
        return _optimality(self.game, self.policy)

    def lines(self) -> list[Line]:
        """The optimality gap, and the network."""
        gap, network = self.optimality, self.policy.network
        if gap is None:
            first = entry("optimality gap", "not known", f"{in_words(self.game.n_joint)} joint actions are too many")
        else:
            amount = f"{gap.upper:.4g}" if gap.method == "exact" else f"{gap.lower:.4g} .. {gap.upper:.4g}"
            first = entry("optimality gap", amount, gap.method)
        best = "" if gap is None else f"the best joint policy earns {self.value + gap.upper:,.6g} at most"
        return [(first, best), (entry("network", str(network)), "")]

    def details(self) -> dict[str, Any]:
        """The same for JSON."""
        gap = self.optimality
        return {"optimality_gap": None if gap is None else gap.to_json(), "edges": [list(one) for one in self.policy.network.edges]}

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """The policy as a CSV file: one row per agent, state, actions of the parents and own action."""
        return {"policy.csv": policy_rows(self.game, self.policy)}


class NetworkResult(Cooperative):
    """A result of a method that climbs the barrier objective."""

    __slots__ = ()

    def lines(self) -> list[Line]:
        """With what the second-order check found."""
        state = self.state
        found = Cooperative.lines(self)
        if hasattr(state, "objective"):
            left = f"; {state.escapes} saddles left behind" if state.escapes else ""
            found.append((entry("objective", f"{state.objective:,.6g}", f"gradient {state.gradient_norm:.2g}{left}"), ""))
        return found


class ProgramNetworkResult(Cooperative, ProgramResult[CooperativeMarkovGame, BayesianNetworkPolicy]):
    """A result that rests on the answer to one program."""

    __slots__ = ()


ROWS = 100_000
"""Rows of the policy's table at most; a larger policy is in the arrays alone."""


def policy_rows(game: CooperativeMarkovGame, policy: BayesianNetworkPolicy) -> list[tuple[Any, ...]]:
    """The head and the rows of a policy as a table."""
    from itertools import product

    rows: list[tuple[Any, ...]] = [("agent", "state", "given", "action", "probability")]
    for i, table in enumerate(policy.tables):
        if len(rows) + table.size > ROWS:
            return rows
        parents = policy.network.parents[i]
        for at in product(*(range(side) for side in table.shape)):
            given = "; ".join(f"{game.agent_label(j)}: {game.action_label(j, a)}" for j, a in zip(parents, at[1:-1], strict=True))
            rows.append((game.agent_label(i), game.state_label(at[0]), given, game.action_label(i, at[-1]), float(table[at])))
    return rows
