"""Best-reply dynamics of the aggregator: approximate pure Nash equilibria for any payoffs and any dimension."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from eqsolve.aggregative.best_reply import best_replies, sweep_replies
from eqsolve.aggregative.bounds import pure_existence
from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.profile import PureProfile
from eqsolve.aggregative.pure_result import PureResult, merged_game, payoff_rounding
from eqsolve.aggregative.rounding import sample_profile
from eqsolve.arrays import FloatArray, IntArray, real_number, whole_number
from eqsolve.driver import Algorithm, Record, Result, Run, Status
from eqsolve.driver.report import Line, entry
from eqsolve.errors import unknown

STEPS = ("adaptive", "harmonic")
TIES = ("first", "random")
SWEEP = 1000
"""Best replies of one sweep at most."""
SWEEPS, COLUMNS = 20, 1_000_000
"""Sweeps of one step at most, and columns that they look at together."""
FALLS = 1e-9
"""Relative fall of the least gap that counts as one."""
MOVING, POLISHING, AVERAGING, LAST, ENDED = range(5)


@dataclass(frozen=True, slots=True, eq=False)
class FixedPointState:
    """Where the search stands.

    Parameters
    ----------
    plays : (N,) the present profile of the merged game. gain, reply : (N,) its best replies.
    best_plays, best_gap : the profile of least exact gap so far.
    share : of those who gain, to move next. phase : 0 many at once, 1 one after the other, 2 many at once in steps of 1 / k,
        3 one after the other again, 4 ended.
    moves : steps of the phase. idle : steps since the least gap fell. floor : gains that are rounding.
    """

    plays: IntArray
    gain: FloatArray
    reply: IntArray
    best_plays: IntArray
    best_gap: float
    share: float
    phase: int
    moves: int
    idle: int
    floor: float

    @property
    def gap(self) -> float:
        """The exact gap of the present profile."""
        return float(self.gain.max())


@dataclass(frozen=True, slots=True)
class FixedPointNash(Algorithm[AggregativeGame, FixedPointState, PureProfile]):
    r"""A fixed point of the best-reply map, :math:`x \leftarrow x + s\,(\text{aggregator of best replies at } x - x)`.

    Starts from random actions. In each step a share s of the players who gain switch to their exact best replies at once, until
    that no longer helps. Then players take their best replies one after the other, those who gain most first, until the gap stops
    falling. If it is still above the stated one, steps of 1 / (k + 1) follow (fictitious play), and one after the other again.
    The profile of least exact gap is kept. No hypothesis on the payoffs, no promise: in games without a potential the search may
    go round in circles, and then says that it stalled.

    Parameters
    ----------
    gap : the stated gap, in payoff units; :math:`(d + 1)\, \delta\, \max_i \gamma_i` when left out, which some pure profile has.
    step_rule : ``"adaptive"``: of those who gain, those who gain most switch, twice as many after a step that lowers the gap; one
        that does not is taken back, and half as many try. ``"harmonic"``: fictitious play from the start, 1 / (k + 1) of those who
        gain in step k, the same share of every type and action as far as players can be divided, whatever becomes of the gap.
    ties : between equally good replies, the ``"first"`` or a ``"random"`` one.
    patience : steps in which the least gap does not fall, after which a phase ends; in fictitious play half of its steps more.
    polish : whether players go on one after the other at the end; without, the search ends at the stated gap.

    Raises
    ------
    InvalidData, UnknownName : a parameter is out of range.
    """

    gap: float | None = None
    step_rule: Literal["adaptive", "harmonic"] = "adaptive"
    ties: Literal["first", "random"] = "first"
    patience: int = 30
    polish: bool = True

    def __post_init__(self) -> None:
        if self.gap is not None:
            object.__setattr__(self, "gap", real_number("gap", self.gap, least=0.0))
        if self.step_rule not in STEPS:
            raise unknown("step rule", self.step_rule, STEPS)
        if self.ties not in TIES:
            raise unknown("rule for ties", self.ties, TIES)
        object.__setattr__(self, "patience", whole_number("patience", self.patience, 1))

    def stated(self, game: AggregativeGame) -> float:
        """The gap at which the search is content."""
        return float(pure_existence(merged_game(game)).value or 0.0) if self.gap is None else self.gap

    def init(self, game: AggregativeGame, run: Run) -> FixedPointState:
        """Every player draws an action."""
        own = merged_game(game)
        rng = np.random.default_rng([run.seed, 0])
        plays = sample_profile(own, (own.players / own.n_actions)[own.owner], rng)
        gain, reply = best_replies(own, plays, self._draw(own, rng))
        floor = payoff_rounding(own, plays @ own.contribution)
        phase = MOVING if self.step_rule == "adaptive" else AVERAGING
        state = FixedPointState(plays, gain, reply, plays, float(gain.max()), 1.0, phase, 0, 0, floor)
        return self._next_phase(game, state, over=False)

    def step(self, game: AggregativeGame, state: FixedPointState, run: Run) -> tuple[FixedPointState, Record]:
        """Some players switch."""
        own, rng = merged_game(game), run.rng()
        if state.phase in (POLISHING, LAST):
            found, moved = self._one_by_one(own, state, rng)
            over = not moved
        elif state.phase == AVERAGING:
            found, moved = self._harmonic(own, state, rng)
            over = False
        else:
            found, moved, over = self._adaptive(own, state, rng)
        gap = found.gap
        falls = min(gap, found.best_gap) < (1 - FALLS) * state.best_gap
        found = replace(_kept(found), moves=state.moves + 1, idle=0 if falls else state.idle + 1)
        return self._next_phase(game, found, over), {"gap": gap, "least_gap": found.best_gap, "moved": moved}

    def done(self, game: AggregativeGame, state: FixedPointState) -> Status | None:
        """Converged only at the stated gap."""
        if state.phase != ENDED:
            return None
        return Status.CONVERGED if state.best_gap <= self.stated(game) + state.floor else Status.STALLED

    def finish(self, game: AggregativeGame, state: FixedPointState, run: Run) -> PureProfile:
        """The profile of least gap."""
        return PureProfile(state.best_plays)

    def objection(self, result: Result[AggregativeGame, FixedPointState, PureProfile]) -> str:
        """A gap above the stated one after all."""
        above = result.gap.upper > self.stated(result.game) + 2 * result.state.floor
        return "the exact gap is larger than the stated one" if above else ""

    def result_class(self) -> type[Result[AggregativeGame, FixedPointState, PureProfile]]:
        """FixedPointEquilibrium."""
        return FixedPointEquilibrium

    def _draw(self, own: AggregativeGame, rng: np.random.Generator) -> FloatArray | None:
        return rng.random(own.n_columns) if self.ties == "random" else None

    def _at(self, own: AggregativeGame, state: FixedPointState, plays: IntArray, rng: np.random.Generator) -> FixedPointState:
        gain, reply = best_replies(own, plays, self._draw(own, rng))
        return replace(state, plays=plays, gain=gain, reply=reply)

    def _adaptive(
        self, own: AggregativeGame, state: FixedPointState, rng: np.random.Generator
    ) -> tuple[FixedPointState, int, bool]:
        ahead, moved = self._at_once(own, state, rng, evenly=False)
        if ahead.gap < state.gap:
            return replace(ahead, share=min(1.0, 2 * state.share)), moved, False
        return replace(state, share=state.share / 2), 0, moved == 1

    def _harmonic(self, own: AggregativeGame, state: FixedPointState, rng: np.random.Generator) -> tuple[FixedPointState, int]:
        share = 1.0 / (state.moves + 2)
        return self._at_once(own, replace(state, share=share), rng, evenly=True)

    def _at_once(
        self, own: AggregativeGame, state: FixedPointState, rng: np.random.Generator, *, evenly: bool
    ) -> tuple[FixedPointState, int]:
        """A share of those who gain, at least one, take their best replies: those who gain most, or as many of every column."""
        gainers = np.where(state.gain > state.floor, state.plays, 0)
        moved = max(1, int(state.share * int(gainers.sum())))
        count = np.floor(state.share * gainers).astype(np.int64) if evenly else np.zeros_like(gainers)
        order = np.argsort(-state.gain, kind="stable")
        room = (gainers - count)[order]
        count[order] += np.clip(moved - count.sum() - (np.cumsum(room) - room), 0, room)
        plays = state.plays - count
        np.add.at(plays, state.reply, count)
        return self._at(own, state, plays, rng), moved

    def _one_by_one(self, own: AggregativeGame, state: FixedPointState, rng: np.random.Generator) -> tuple[FixedPointState, int]:
        found, total = state, 0
        for _ in range(min(SWEEPS, max(1, COLUMNS // own.n_columns))):
            order = np.argsort(-found.gain, kind="stable")
            worst = order[found.gain[order] > state.floor]
            plays, moved = sweep_replies(own, found.plays, worst, state.floor, SWEEP)
            if not moved:
                break
            found, total = _kept(self._at(own, found, plays, rng)), total + moved
        return found, total

    def _next_phase(self, game: AggregativeGame, state: FixedPointState, over: bool) -> FixedPointState:
        """The state with the phase that the next step belongs to; phases that follow begin at the best profile."""
        content = state.best_gap <= self.stated(game)
        if state.best_gap <= state.floor or (content and not self.polish):
            return replace(state, phase=ENDED)
        # Steps of 1 / k need time in proportion to k.
        slow = state.moves // 2 if state.phase == AVERAGING else 0
        tired = over or state.idle >= self.patience + slow
        at_once = state.phase in (MOVING, AVERAGING)
        if not (tired or (at_once and content and state.idle)):
            return state
        if at_once:
            phase = LAST if state.phase == AVERAGING else POLISHING
        else:
            phase = ENDED if content or state.phase == LAST else AVERAGING
        if not self.polish:
            phase = AVERAGING if state.phase == MOVING else ENDED
        gain, reply = state.gain, state.reply
        if phase != ENDED and state.best_plays is not state.plays:
            gain, reply = best_replies(merged_game(game), state.best_plays)
        return replace(state, plays=state.best_plays, gain=gain, reply=reply, phase=phase, moves=0, idle=0)


class FixedPointEquilibrium(PureResult):
    """A pure profile found by best replies."""

    __slots__ = ()

    @property
    def stated_gap(self) -> float:
        """The gap at which the search was to be content."""
        algorithm: FixedPointNash = self.algorithm  # type: ignore[assignment]  # only FixedPointNash makes these
        return algorithm.stated(self.game)

    def details(self) -> dict[str, Any]:
        """The stated gap."""
        return {**PureResult.details(self), "stated_gap": self.stated_gap}

    def lines(self) -> list[Line]:
        """The stated gap."""
        algorithm: FixedPointNash = self.algorithm  # type: ignore[assignment]  # only FixedPointNash makes these
        what = "(d+1) delta gamma, which some pure profile has" if algorithm.gap is None else "asked for"
        return [*PureResult.lines(self), (entry("stated gap", f"{self.stated_gap:.4g}", what), "")]


def _kept(state: FixedPointState) -> FixedPointState:
    """The state with its present profile kept if it is the best so far."""
    return replace(state, best_plays=state.plays, best_gap=state.gap) if state.gap < state.best_gap else state
