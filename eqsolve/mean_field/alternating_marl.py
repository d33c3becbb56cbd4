"""ALTERNATING-MARL (Algorithm 3): the global agent and the local agents improve in turn, judged by one value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Literal, TypeAlias, get_args
from warnings import warn

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, float_array, real_number, whole_number
from eqsolve.certificates import Bound
from eqsolve.driver import Algorithm, Record, Result, Run, Status
from eqsolve.errors import InvalidData, unknown
from eqsolve.mean_field.bounds import eta, eta_exceeds_values, global_gap, iterations, nash_gap_promised, samples_needed
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.half_steps import DRAWN, GLOBAL_STEPS, LOCAL_STEPS, Ask, GlobalStepName, LocalStepName
from eqsolve.mean_field.local_step import local_starts
from eqsolve.mean_field.policy import SubsampledPolicy, uniform_policy
from eqsolve.mean_field.result import Subsampled
from eqsolve.mean_field.two_level import TwoLevel, Valued, default_population
from eqsolve.programs import Program

Variant: TypeAlias = Literal["corrected", "paper", "authors"]
FINE = 0.125
"""Of the tolerance of the run, that of an evaluation."""
BAND = 0.01
"""Relative change of the value over a round at which the authors' code stops."""


class VacuousTolerance(UserWarning):
    """The paper's tolerance is so wide that its algorithm cannot but stop at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A pair of policies and what it earns.

    Parameters
    ----------
    global_policy, local_policy, hint : as in ``SubsampledPolicy``.
    values : (G, N_K) of the two-level surrogate. value : J[K, k]. radius : of both.
    answers : whether the global policy is what the global step answers to this local policy.
    """

    global_policy: npt.NDArray[Any]
    local_policy: FloatArray
    hint: FloatArray | None
    values: FloatArray
    value: float
    radius: float
    answers: bool

    def policy(self, k: int) -> SubsampledPolicy:
        """The pair as a policy."""
        return SubsampledPolicy(k, self.global_policy, self.local_policy, self.hint)

    def worth(self, found: Valued) -> Pair:
        """The pair with its values."""
        return replace(self, values=found.values, value=found.value, radius=found.radius)


@dataclass(frozen=True, slots=True, eq=False)
class Alternation:
    """Where a run stands.

    Parameters
    ----------
    now : the last accepted pair of the present start. best : the best pair of all starts.
    start, round : numbers of the present start and of its round, from 0. local : whether it is the local agents' turn.
    quiet : half-steps in a row that gained no more than the tolerance.
    best_start : where the best pair was found. rounds : taken in all, over all starts.
    settled : whether that start has ended by its own rule. over : whether the last start has ended.
    """

    now: Pair
    best: Pair
    start: int
    round: int
    local: bool
    quiet: int
    best_start: int
    rounds: int
    settled: bool
    over: bool


@dataclass(frozen=True, slots=True)
class AlternatingMARL(Algorithm[GlobalLocalGame, Alternation, SubsampledPolicy]):
    r"""Alternating best responses of the global agent, who sees k local agents, and of the local agents, who share a policy.

    In turn the global agent proposes a best response to :math:`\pi_l` in the k-surrogate (G-LEARN), and the local agents one to
    :math:`\pi_g` (L-LEARN). A proposal is accepted when the two-level surrogate J[K, k] of the pair has certainly grown; a start
    ends when neither side gains more than ``tolerance``. J[K, k] never falls, and the best pair of all starts is kept.

    How this corrects the paper's Algorithm 3: the first pair is evaluated (there its value is 0); both half-steps are judged by
    one value (there by two, of different processes and rewards); the tolerance is numeric (there :math:`2\eta` of Theorem 4.8,
    which lies above all values unless k is in the hundred thousands); it ends only when both sides have nothing to gain.

    Parameters
    ----------
    k : local agents seen. K : local agents that stand for all n, at least k; a moderate number when left out.
    global_step : ``"exact"`` optimal in the k-surrogate; ``"ascent"`` from there by the exact gradient of J[K, k];
        ``"sampled"`` by m samples of every next histogram (Algorithm 1); ``"rounded"`` as in the authors' code; ``"q_learning"``
        from a trajectory of m transitions per entry (Appendix E); ``"noisy"`` from m draws of stochastic rewards (Algorithm 10).
    local_step : ``"ascent"`` exact gradient of J[K, k] from several starts; ``"enumerate"`` all deterministic policies;
        ``"chained"`` exact optimum of the chain of Algorithm 8, projected; ``"ucfh"`` learns on it (Algorithm 6), for toys: one
        half-step plays up to 1,000 m episodes; ``"softmax"`` as in the authors' code; ``"fixed"`` none.
    starts : alternations, from the uniform local policy (or ``local_policy``), from constant actions, and at random.
    ascents : starts of each ascent. tolerance : in reward units. rounds : of each start at most. m : samples.
    local_policy : the first local policy, as (G, Z) actions or (G, Z, A_l) probabilities; uniform when left out.
    variant : ``"corrected"`` as above. ``"paper"``: K = k; a proposal is accepted if it gains more than :math:`2\eta` in all states
        of the surrogate, rejected if it loses more than that in some, and otherwise the run ends, the values before being 0;
        it warns where :math:`2\eta` is above all values, and then ends at once with uniform policies. ``"authors"``: as their code,
        judged after both half-steps, and over when a round changes the value by less than 1 %; see ``authors_code``.

    Raises
    ------
    InvalidData : a parameter out of range. UnknownName : a step or variant that does not exist.

    Notes
    -----
    Source: Algorithms 1 to 3 of the mean-field subsampling paper. Values of different k cannot be compared in the surrogate of k
    agents, which becomes less as k grows; J[K, k] of one K can.

    A record of the history is one half-step: the value proposed, how much it is above the one before, whether it was accepted.
    With K above k an optimum of the k-surrogate may be rejected. ``global_step="ascent"`` then finds what the surrogate cannot
    see: on the warehouse of 1,000 robots of which one is seen, 162 in place of 110 (100 steps, simulated).
    """

    k: int = 5
    K: int | None = None
    global_step: GlobalStepName = "exact"
    local_step: LocalStepName = "ascent"
    starts: int = 1
    ascents: int = 2
    tolerance: float = 1e-5
    rounds: int = 50
    m: int = 30
    local_policy: Any = None
    variant: Variant = "corrected"

    def __post_init__(self) -> None:
        put = object.__setattr__
        for name in ("k", "starts", "ascents", "rounds", "m"):
            put(self, name, whole_number(name, getattr(self, name), 1))
        if self.K is not None:
            put(self, "K", whole_number("K", self.K, self.k))
        put(self, "tolerance", real_number("tolerance", self.tolerance, above=0.0))
        for kind, name, known in (
            ("global step", self.global_step, get_args(GlobalStepName)),
            ("local step", self.local_step, get_args(LocalStepName)),
            ("variant", self.variant, get_args(Variant)),
        ):
            if name not in known:
                raise unknown(kind, name, known)
        if self.local_policy is not None:
            put(self, "local_policy", _listed(float_array("local_policy", self.local_policy)))

    def surrogate(self, game: GlobalLocalGame) -> TwoLevel:
        """The two-level surrogate by which policies are judged."""
        if self.k > game.n:
            raise InvalidData(f"k is {self.k:,}, and the game has {game.n:,} local agents", f"Give k of at most {game.n:,}.")
        if self.variant == "paper":
            return TwoLevel(game, self.k, self.k)
        return TwoLevel(game, default_population(game, self.k) if self.K is None else self.K, self.k)

    def init(self, game: GlobalLocalGame, run: Run) -> Alternation:
        """The uniform global policy with the first local policy, evaluated."""
        if self.variant == "paper" and eta_exceeds_values(game, self.k):
            warn(
                f"2 eta of Theorem 4.8 is {2.0 * eta(game, self.k):,.6g}, and no value is above "
                f"{game.reward_bound / (1.0 - game.gamma):,.6g}: no proposal can be accepted, and the run ends at once with the "
                "first policies; variant='corrected' has a numeric tolerance",
                VacuousTolerance,
                stacklevel=2,
            )
        first = self._begin(game, 0, run)
        if self.variant == "paper":
            first = replace(first, values=np.zeros_like(first.values))
        return Alternation(first, first, 0, 0, False, 0, 0, 0, False, False)

    def step(self, game: GlobalLocalGame, state: Alternation, run: Run) -> tuple[Alternation, Record]:
        """One half-step: a proposal, its value, and whether it is accepted."""
        run.remaining()
        surrogate, now = run.derived("surrogate", lambda: self.surrogate(game)), state.now
        policy = now.policy(self.k)
        ask = Ask(game, surrogate, policy, surrogate.facing(policy), now.values, self.tolerance, self.m, self.ascents, run)
        if state.local:
            found, valued = LOCAL_STEPS[self.local_step](ask)
            new, facing, start = replace(now, local_policy=found, answers=False), ask.facing, now.values
            same = bool((found == now.local_policy).all())
        else:
            chosen, hint = GLOBAL_STEPS[self.global_step](ask)
            new, valued = replace(now, global_policy=chosen, hint=hint, answers=True), None
            same = chosen.shape == now.global_policy.shape and bool((chosen == now.global_policy).all())
            facing = ask.facing if same else surrogate.facing(new.policy(self.k))
            start = hint if hint is not None and hint.shape == now.values.shape else now.values
        if same and self.variant == "corrected":
            valued = None
        elif valued is None:
            valued = facing.evaluate(new.local_policy, tolerance=FINE * self.tolerance, start=start)
        if valued is not None:
            new = new.worth(valued)
        judge = {"corrected": self._corrected, "paper": self._paper, "authors": self._authors}[self.variant]
        after, accepted = judge(game, state, new, same)
        record = {
            "start": state.start,
            "round": state.round,
            "local": state.local,
            "value": new.value,
            "improvement": new.value - now.value,
            "accepted": accepted,
            "best": after.best.value,
        }
        return self._next_start(game, after, run), record

    def done(self, game: GlobalLocalGame, state: Alternation) -> Status | None:
        """Converged when every start has ended by its own rule; stalled where the best one ran out of rounds."""
        if not state.over:
            return None
        return Status.CONVERGED if state.settled else Status.STALLED

    def finish(self, game: GlobalLocalGame, state: Alternation, run: Run) -> SubsampledPolicy:
        """The best pair so far."""
        return state.best.policy(self.k)

    def bounds(self, game: GlobalLocalGame, state: Alternation, policy: SubsampledPolicy) -> tuple[Bound, ...]:
        """What Theorems 4.2 and 4.8 promise, as printed."""
        steps, enough = iterations(game, self.k), samples_needed(game, self.k, variant="paper")
        exact = self.global_step == "exact"  # as good as any number of samples
        m = max(1, ceil(enough)) if exact else self.m if self.global_step == "sampled" else None
        gap = global_gap(game, self.k, noise=self.tolerance if exact else None, steps=steps)
        if exact and not state.best.answers:
            unmet = "the global policy is not the best one in the k-surrogate against the local policy of the end"
            gap = replace(gap, value=None, failed=(*gap.failed, unmet))
        return (
            gap,
            nash_gap_promised(game, self.k, m, steps=steps, local_error=None),
        )

    def program(self, result: Result[GlobalLocalGame, Alternation, SubsampledPolicy], *which: Any) -> Program:
        """``"occupancy"``: the linear program of the global agent's best response to the final local policy in the k-surrogate.

        ``"policy"``: the same with the final global policy fixed. Raises UnknownName for others, and InvalidData where the
        surrogate is too large for a linear program.
        """
        from eqsolve.mean_field.programs import occupancy_program

        name = ":".join(map(str, which)) or "occupancy"
        if name not in ("occupancy", "policy"):
            raise unknown("program", name, ("occupancy", "policy"))
        policy = result.policy if name == "policy" else None
        return occupancy_program(result.game, self.k, result.policy.local_policy, policy=policy).program

    def result_class(self) -> type[Subsampled]:
        """A result that tells the value at the two-level surrogate."""
        return Subsampled

    def _begin(self, game: GlobalLocalGame, start: int, run: Run) -> Pair:
        surrogate: TwoLevel = run.derived("surrogate", lambda: self.surrogate(game))
        uniform = uniform_policy(game, self.k)
        facing = surrogate.facing(uniform)
        local = self._first(game)
        if start:
            listed = [one for one in local_starts(facing, run.rng(2), self.starts) if not (one == local).all()] or [local]
            local = listed[(start - 1) % len(listed)]
        found = facing.evaluate(local, tolerance=FINE * self.tolerance)
        return Pair(uniform.global_policy, local, None, found.values, found.value, found.radius, False)

    def _first(self, game: GlobalLocalGame) -> FloatArray:
        if self.local_policy is None:
            return game.uniform_local()
        given = np.asarray(self.local_policy)
        return game.deterministic_local(given) if given.ndim == 2 else game.check_local(given)

    def _corrected(self, game: GlobalLocalGame, state: Alternation, new: Pair, same: bool) -> tuple[Alternation, bool]:
        """Accept what certainly gains, and of what is equal the global policy, which is optimal in more states."""
        now = state.now
        gain, unsure = new.value - now.value, new.radius + now.radius
        accepted = not same and (gain > unsure or (not state.local and gain >= -unsure))
        quiet = state.quiet + 1 if not accepted or gain + unsure <= self.tolerance else 0
        drawn = self.global_step in DRAWN or self.local_step in DRAWN
        answered = state.local or state.round > 0
        ended = quiet >= 2 or (not accepted and answered and not drawn)
        kept = new if accepted or (same and not state.local) else now
        return self._moved(state, kept, quiet, ended), accepted

    def _paper(self, game: GlobalLocalGame, state: Alternation, new: Pair, same: bool) -> tuple[Alternation, bool]:
        """UPDATE of Algorithm 3, to the letter but for the values, which are those of the pair in the k-surrogate."""
        band, now = 2.0 * eta(game, self.k), state.now
        if (new.values > now.values + band).all():
            return self._moved(state, new, 0, False), True
        return self._moved(state, now, 0, not (new.values < now.values - band).any()), False

    def _authors(self, game: GlobalLocalGame, state: Alternation, new: Pair, same: bool) -> tuple[Alternation, bool]:
        """Judged after both half-steps, by the relative change over the round; inside the band the later pair is kept."""
        if not state.local:
            return replace(state, now=new, local=True), True
        change = (new.value - state.best.value) / max(abs(state.best.value), 1e-300)
        accepted = change >= -BAND
        after = self._moved(state, new if accepted else state.best, 0, change <= BAND)
        return replace(after, best=after.now), accepted

    def _moved(self, state: Alternation, kept: Pair, quiet: int, ended: bool) -> Alternation:
        """The state after a half-step; ``ended`` says that the present start is over by its own rule."""
        best = state.best
        mine = state.best_start == state.start or kept.value - best.value > kept.radius + best.radius
        turn = state.round + state.local
        return Alternation(
            now=kept,
            best=kept if mine else best,
            start=state.start,
            round=turn,
            local=not state.local,
            quiet=quiet,
            best_start=state.start if mine else state.best_start,
            rounds=state.rounds + (state.local or ended),
            settled=ended if mine else state.settled,
            over=ended or turn >= self.rounds,
        )

    def _next_start(self, game: GlobalLocalGame, state: Alternation, run: Run) -> Alternation:
        if not state.over or self.variant != "corrected" or state.start + 1 >= self.starts:
            return state
        start = state.start + 1
        return replace(state, now=self._begin(game, start, run), start=start, round=0, local=False, quiet=0, over=False)


def authors_code(k: int, **changes: Any) -> AlternatingMARL:
    """What the public code of the paper's authors runs, for ``warehouse(variant="authors")``: at most 5 rounds.

    The next histogram is the expected one rounded, the local policy a softmax that is no best response, and a round is judged by
    its relative change. In place of their noisy rollouts the value is J[K, k], and their 200 draws are an expectation.

    Examples
    --------
    >>> authors_code(3).local_step
    'softmax'
    """
    return replace(AlternatingMARL(k, global_step="rounded", local_step="softmax", rounds=5, variant="authors"), **changes)


def _listed(array: npt.NDArray[Any]) -> Any:
    return tuple(map(_listed, array)) if array.ndim else array.item()
