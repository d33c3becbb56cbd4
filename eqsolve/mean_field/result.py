"""What a run with subsampling hands back."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from eqsolve.certificates import GapCertificate
from eqsolve.driver import Result
from eqsolve.driver.report import Line, entry
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import Histograms
from eqsolve.mean_field.policy import SubsampledPolicy
from eqsolve.mean_field.two_level import TwoLevel, default_population

ROWS = 100_000
"""Rows of a table at most; a larger policy is in the arrays alone."""


@lru_cache(maxsize=4)
def _surrogate_value(game: GlobalLocalGame, policy: SubsampledPolicy) -> float:
    return TwoLevel(game, policy.k, policy.k).value(policy).value


class Subsampled(Result[GlobalLocalGame, Any, SubsampledPolicy]):
    """A pair of policies of which the global one sees k local agents."""

    __slots__ = ()

    @property
    def population(self) -> int:
        """K, the number of local agents that ``value`` stands for."""
        return default_population(self.game, self.policy.k)

    @property
    def surrogate_value(self) -> float:
        """V_k, what the pair earns where there are only the k agents seen. It falls as k grows, whatever the policies are worth."""
        return _surrogate_value(self.game, self.policy)

    def population_gap(self, level: int | None = None, **options: Any) -> GapCertificate:
        """How far the policy is from the best among all n agents, the local policy being kept; see ``population_gap``."""
        from eqsolve.mean_field.population import population_gap

        return population_gap(self.game, self.policy, level, **options)

    def lines(self) -> list[Line]:
        """The value and what it stands for, the value of the surrogate, and the rounds."""
        game, K, k, state = self.game, self.population, self.policy.k, self.state
        whole = game.n == K
        what = "what is earned online" if whole else f"two-level surrogate: {K:,} of {game.n:,} agents"
        lines = [
            (entry("value", f"{self.value:,.6g}", f"J[{K}, {k}], {what}, {k} seen"), ""),
            (entry("surrogate", f"{self.surrogate_value:,.6g}", f"V_{k}, of {k} agents: not comparable across k"), ""),
        ]
        judged = self.algorithm.surrogate(game).K  # type: ignore[attr-defined]  # only alternations make these results
        if judged != K:
            lines.append((entry("objective", f"{state.best.value:,.6g}", f"J[{judged}, {k}], by which proposals were judged"), ""))
        if not whole:
            lines.append(("  what n agents earn is left to simulation: population_gap() of the result, and simulate()", ""))
        starts = f", {state.start + 1} starts, the best is number {state.best_start + 1}" if state.start else ""
        lines.append((entry("rounds", f"{state.rounds:,}", f"of two half-steps{starts}"), ""))
        return lines

    def details(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "k": self.policy.k,
            "population": self.population,
            "two_level_value": self.value,
            "surrogate_value": self.surrogate_value,
            "rounds": self.state.rounds,
            "best_start": self.state.best_start,
        }

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """``local_policy.csv``, and ``global_policy.csv`` where it has at most 100,000 rows."""
        tables = {"local_policy.csv": local_table(self.game, self.policy)}
        if self.policy.global_policy.size < ROWS:
            tables["global_policy.csv"] = global_table(self.game, self.policy)
        return tables


def local_table(game: GlobalLocalGame, policy: SubsampledPolicy) -> list[tuple[Any, ...]]:
    """The head and the rows of the local policy: what is played with which probability, and with which it is not 0."""
    rows: list[tuple[Any, ...]] = [("global state", "local state", "action", "probability")]
    for g, z, a in np.argwhere(policy.local_policy > 0).tolist():
        action = game.local_actions[a] if game.local_actions else a
        rows.append((game.global_label(g), game.local_label(z), action, float(policy.local_policy[g, z, a])))
    return rows


def global_table(game: GlobalLocalGame, policy: SubsampledPolicy) -> list[tuple[Any, ...]]:
    """The head and the rows of the global policy: the number of agents seen in each local state, and what is played."""
    table = Histograms(policy.k, game.n_local_states).table.tolist()
    states = [game.local_label(z) for z in range(game.n_local_states)]
    rows: list[tuple[Any, ...]] = [("global state", *(f"seen in {one}" for one in states), "action", "probability")]
    if policy.is_deterministic:
        played = [(g, h, int(a), 1.0) for (g, h), a in np.ndenumerate(policy.global_policy)]
    else:
        played = [(g, h, a, float(policy.global_policy[g, h, a])) for g, h, a in np.argwhere(policy.global_policy > 0).tolist()]
    for g, h, a, chance in played:
        action = game.global_actions[a] if game.global_actions else a
        rows.append((game.global_label(g), *table[h], action, chance))
    return rows
