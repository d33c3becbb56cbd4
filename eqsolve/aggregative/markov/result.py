"""What a solve of an aggregative Markov game hands back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from eqsolve.aggregative.markov.backward import Backward
from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.aggregative.markov.profile import MarkovProfile
from eqsolve.arrays import FloatArray
from eqsolve.driver import Result
from eqsolve.driver.report import Line, entry

ROWS = 200_000
"""Rows of the table of actions at most; a larger profile is in the arrays alone."""


@lru_cache(maxsize=4)
def _aggregators(game: AggregativeMarkovGame, policy: MarkovProfile) -> FloatArray:
    x = np.zeros((game.horizon, game.n_states, game.n_coordinates))
    for h in range(game.horizon):
        for s in range(game.n_states):
            plays = np.bincount(game.column_of(policy.actions[h, s]), minlength=game.n_columns)
            x[h, s] = np.einsum("c,cd->d", plays, game.contribution[h])
    return x


class PureMarkov(Result[AggregativeMarkovGame, Any, MarkovProfile]):
    """A pure Markov profile with its exact Nash gap."""

    __slots__ = ()

    @property
    def actions(self) -> Any:
        """(H, S, n) the action of each player."""
        return self.policy.actions

    @property
    def aggregators(self) -> FloatArray:
        """(H, S, d) the aggregator that the profile causes at each step and state."""
        return _aggregators(self.game, self.policy)

    def visits(self) -> FloatArray:
        """(H, S) the probability of each state at each step."""
        game, found = self.game, [self.game.initial]
        for h in range(game.horizon - 1):
            x = self.aggregators[h]
            found.append(sum(found[-1][s] * game.transition.at(h, s, x[s]) for s in range(game.n_states)))
        return np.array(found)

    def mean_aggregator(self) -> FloatArray:
        """(H, d) the expected aggregator of each step."""
        return np.asarray(np.einsum("hs,hsk->hk", self.visits(), self.aggregators))

    def lines(self) -> list[Line]:
        """The path of the aggregator."""
        path = self.mean_aggregator()
        ends = [", ".join(f"{one:.4g}" for one in path[h]) for h in (0, -1)]
        return [(entry("aggregator", f"{ends[0]} -> {ends[1]}", "expected, first and last step"), "")]

    def details(self) -> dict[str, Any]:
        """The path of the aggregator."""
        return {"aggregator": self.mean_aggregator().tolist()}

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """``actions.csv``: how many players of each type play what, where, when."""
        game = self.game
        rows: list[tuple[Any, ...]] = [("step", "state", "type", "action", "players")]
        types: Sequence[Any] = game.types or range(game.n_types)
        for h in range(game.horizon):
            for s in range(game.n_states):
                plays = np.bincount(game.column_of(self.actions[h, s]), minlength=game.n_columns)
                used = np.flatnonzero(plays)
                if len(rows) + len(used) > ROWS:
                    return {"actions.csv": rows}
                state = game.states[s] if game.states else s
                rows += [(h, state, types[game.owner[c]], game.action_label(int(c)), int(plays[c])) for c in used]
        return {"actions.csv": rows}


class MarkovEquilibrium(PureMarkov):
    """The result of a backward algorithm, with the certificate of its selection."""

    __slots__ = ()

    state: Backward

    @property
    def welfare(self) -> float:
        """The expected welfare of the profile."""
        return self.value

    @property
    def bound(self) -> float:
        """No profile that the search ranges over has a larger welfare; infinite where nothing is proved."""
        met = self.game.initial > 0  # nothing times infinity is no number
        return float(self.game.initial[met] @ self.state.limit[met])

    @property
    def selection_gap(self) -> float:
        """The bound minus the welfare reached."""
        return self.bound - self.welfare

    @property
    def selects_over(self) -> str:
        """To which profiles the bound on the welfare refers."""
        one = self.algorithm.stage  # type: ignore[attr-defined]  # only backward algorithms make these results
        tolerance = one.family(self.game.stage_game(0, 0)).tolerance
        return f"profiles that play {tolerance.selects_over(self.game.stage_game(0, 0))} of the stage games with this continuation"

    def lines(self) -> list[Line]:
        """The welfare with its bound, the aggregator, the programs."""
        state, bound = self.state, self.bound
        bounded = f"at most {bound:,.6g} over {self.selects_over}" if np.isfinite(bound) else ""
        programs, blocks = (int(state.of(name).sum()) for name in ("programs", "blocks"))
        stage = "with this continuation" if self.algorithm.looks_ahead else "of rewards alone"  # type: ignore[attr-defined]
        stages = f"{self.game.horizon * self.game.n_states:,} stages"
        work = entry("programs", f"{programs:,} solved", f"{stages}; {blocks:,} blocks of cells tested")
        return [
            (entry("welfare", f"{self.welfare:,.6g}", bounded), ""),
            *PureMarkov.lines(self),
            (entry("stage gap", f"{float(state.of('gap').max()):.4g}", f"largest gap of a stage game {stage}"), ""),
            (work if programs else entry("best replies", f"{blocks:,} steps", stages), ""),
        ]

    def details(self) -> dict[str, Any]:
        """The search, and the aggregator."""
        state, bound = self.state, self.bound
        search = {name: int(state.of(name).sum()) for name in ("programs", "blocks")}
        return {**PureMarkov.details(self), "value_bound": bound if np.isfinite(bound) else None, "search": search}
