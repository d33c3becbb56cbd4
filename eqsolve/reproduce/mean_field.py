"""Anand et al., alternating best responses with mean-field subsampling: a dispatcher who sees k of 1,000 robots."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.mean_field.alternating_marl import AlternatingMARL, VacuousTolerance, authors_code
from eqsolve.mean_field.bounds import eta, first_useful_k, global_gap
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.generators import WarehouseVariant, warehouse
from eqsolve.mean_field.histograms import Histograms
from eqsolve.mean_field.online.execution import Rollouts, mean_and_half_width, simulate
from eqsolve.mean_field.policy import SubsampledPolicy
from eqsolve.mean_field.population import PopulationBound, population_bound, population_parts
from eqsolve.mean_field.sampled import solve_sampled
from eqsolve.plotting import mean_field as figures
from eqsolve.reproduce.claims import Claims
from eqsolve.reproduce.parts import Part, Row, Work

FORMS: dict[str, WarehouseVariant] = {"paper": "paper", "constant r_g": "authors"}
"""The rewards of the global agent: 4 - |s_g - a_g| as printed, and 1 as in the authors' code."""
ROBOTS, SEEDS, ROLLOUTS, STEPS = 1000, 15, 50, 100
KS, QUICK = (1, 2, 5, 10, 20, 35, 50), (1, 2)
FULL = 10
"""The largest k at which both sides alternate; beyond, the robots keep to what they found there."""
SAMPLED, AUTHORS, ASCENT = 20, 10, 5
"""The largest k at which the samples of the paper, the code of its authors, and ascent of the two-level surrogate are run too."""
PRINTED = 3
"""The largest k at which Algorithm 3 is run as it is printed."""
DRAWS = 30
"""Samples per Bellman update, as in Table 2 of the paper."""


@dataclass(frozen=True, slots=True)
class Found:
    """A policy and how it was found.

    Parameters
    ----------
    policy : of both sides. seconds : to find it. value : of the k-surrogate, None where it is not known exactly.
    certified : whether the run converged with a certificate; None where there is none to have.
    """

    policy: SubsampledPolicy
    seconds: float
    value: float | None = None
    certified: bool | None = None


def parts(work: Work) -> Iterator[Part]:
    """The parts of the reproduction."""
    ks = QUICK if work.quick else KS
    games = {form: warehouse(ROBOTS, variant) for form, variant in FORMS.items()}
    found = {form: _policies(work, form, game, ks) for form, game in games.items()}
    known: dict[str, Sequence[Row]] = {}
    steps: tuple[Callable[[], Part], ...] = (
        lambda: returns(work, games, found),
        lambda: zones(work, games["paper"], {k: one for (method, k), one in found["paper"].items() if method == "exact"}),
        lambda: surrogates(known["returns"]),
        lambda: tolerance(work, games["paper"], known["returns"]),
        lambda: seconds(found),
    )
    for make in steps:
        part = make()
        known[part.name] = part.rows
        yield part
    yield claims(known)


Policies = dict[tuple[str, int], Found]
"""By method and k."""


def _policies(work: Work, form: str, game: GlobalLocalGame, ks: Sequence[int]) -> Policies:
    """Every method at every k that it is run at."""
    made: Policies = {}
    local: FloatArray | None = None
    few: dict[str, Any] = {"K": 3, "ascents": 1} if work.quick else {}
    for k in ks:
        work.show(f"{form} rewards, k = {k}: alternating exact best responses")
        method = AlternatingMARL(k, **few) if k <= FULL else AlternatingMARL(k, k, local_step="fixed", local_policy=local)
        began = perf_counter()
        result = work.solve(game, method)
        took = perf_counter() - began - result.seconds["certify"]
        local = result.policy.local_policy
        made["exact", k] = Found(result.policy, took, result.surrogate_value, result.is_converged)
        made["steer to the mode", k] = Found(steering(game, k, local), 0.0)
        if k <= SAMPLED:
            work.show(f"{form} rewards, k = {k}: {DRAWS} samples per update")
            made["sampled", k] = _sampled(work, game, k, local)
        if k <= AUTHORS:
            work.show(f"{form} rewards, k = {k}: the authors' code")
            made["authors", k] = _timed(work, game, authors_code(k, **few))
        if k <= (QUICK[0] if work.quick else ASCENT):
            work.show(f"{form} rewards, k = {k}: ascent of the two-level surrogate")
            made["ascent", k] = _timed(work, game, AlternatingMARL(k, **({"K": FULL} | few), global_step="ascent"))
    return made


def _sampled(work: Work, game: GlobalLocalGame, k: int, local: FloatArray) -> Found:
    began = perf_counter()
    rng = np.random.default_rng([work.seed, k])
    step = solve_sampled(game, k, local, DRAWS, rng, 1e-3)
    return Found(SubsampledPolicy(k, step.policy, local), perf_counter() - began)


def _timed(work: Work, game: GlobalLocalGame, method: AlternatingMARL) -> Found:
    began = perf_counter()
    result = work.solve(game, method)
    return Found(result.policy, perf_counter() - began - result.seconds["certify"])


def steering(game: GlobalLocalGame, k: int, local: FloatArray) -> SubsampledPolicy:
    """The dispatcher who gives priority to the zone where it sees most robots, the first of several."""
    seen = Histograms(k, game.n_local_states).table.argmax(axis=1)
    return SubsampledPolicy(k, np.tile(seen, (game.n_global_states, 1)), local)


def returns(work: Work, games: Mapping[str, GlobalLocalGame], found: Mapping[str, Policies]) -> Part:
    """What the policies earn among all robots, and how far that is from the best, by seeds and rollouts as in the paper."""
    rows: list[Row] = []
    for form, policies in found.items():
        bounds: dict[bytes, PopulationBound] = {}
        for (method, k), one in policies.items():
            work.show(f"{form} rewards, k = {k}: playing the policy of {method}")
            rows.append({"rewards": form, "method": method, "k": k} | _played(work, games[form], one, bounds))
    head = ("rewards", "method", "k", "return", "mode", "surrogate value", "bound of the best", "gap", "certified")
    shown: list[Sequence[str]] = [head]
    for row in rows:
        value = "" if row["surrogate"] is None else f"{row['surrogate']:.3f}"
        gap = f"{row['gap']:.2f} +- {row['gap_half_width']:.2f}"
        certified = {True: "yes", False: "NO", None: ""}[row["certified"]]
        earned = f"{row['return']:.2f} +- {row['half_width']:.2f}"
        share = f"{100 * row['mode']:.1f} %"
        shown.append((row["rewards"], row["method"], str(row["k"]), earned, share, value, f"{row['bound']:.3f}", gap, certified))
    title = f"Returns among {ROBOTS:,} robots in {STEPS} steps, and how far the policies are from the best at most"
    if not work.quick:
        title += f" (beyond k = {FULL} the robots keep to the policy found there)"
    runs = [row["certified"] for row in rows if row["certified"] is not None]
    return Part("returns", title, rows, shown, {"returns": figures.returns_figure(rows)}, len(runs), sum(runs))


def _played(work: Work, game: GlobalLocalGame, found: Found, bounds: dict[bytes, PopulationBound]) -> Row:
    """Returns over the seeds, and the certified distance to the best for the same local policy."""
    seeds, rollouts = (3, 20) if work.quick else (SEEDS, ROLLOUTS)
    runs = [
        simulate(game, found.policy, rollouts, STEPS, np.random.default_rng([work.seed, seed]), compiled=True)
        for seed in range(seeds)
    ]
    every = np.concatenate([run.returns for run in runs])
    mean, half = mean_and_half_width(every, np.concatenate([run.first for run in runs]), runs[0].shares, 0.95)
    key = found.policy.local_policy.tobytes()
    if key not in bounds:
        bounds[key] = population_bound(game, found.policy.local_policy, 4 if work.quick else 20)
    gap = population_parts(
        game, found.policy, bound=bounds[key], rollouts=60 if work.quick else 1_500, confidence=0.95, seed=work.seed
    )
    return {
        "return": float(mean),
        "half_width": float(half),
        "spread_of_seeds": float(np.std([run.returns.mean() for run in runs], ddof=1)),
        "mode": float(np.mean([run.mode_accuracy for run in runs])),
        "surrogate": found.value,
        "bound": bounds[key].value[1],
        "gap": gap.gap,
        "gap_half_width": gap.half_width,
        "gap_upper": gap.upper,
        "certified": found.certified,
    }


def zones(work: Work, game: GlobalLocalGame, found: Mapping[int, Found]) -> Part:
    """Where the robots are over time, the zone chosen and the true mode: the same first state and seed for every k (Figure 4)."""
    chosen = {k: found[k] for k in (QUICK if work.quick else (1, 10, 20, 35))}
    runs: dict[int, Rollouts] = {}
    for k, one in chosen.items():
        rng = np.random.default_rng([work.seed, ROBOTS])
        runs[k] = simulate(game, one.policy, 1, STEPS, rng, stratified=False, record=1)
    rows: list[Row] = [
        {"k": k, "step": t, "choice": int(run.choices[0, t]), "mode": int(run.modes[0, t])}
        | {f"zone_{z}": int(run.counts[0, t, z]) for z in range(game.n_local_states)}
        for k, run in runs.items()
        for t in range(STEPS)
    ]
    shown: list[Sequence[str]] = [("k", "steps in which the choice is the mode")]
    shown += [(str(k), f"{100 * float(np.mean(run.choices[0] == run.modes[0])):.0f} %") for k, run in runs.items()]
    drawn = {"zones": figures.zones_figure(runs, game.local_states, "zone given priority")}
    return Part("zones", "One run per k: where the robots are, and where the dispatcher looks", rows, shown, drawn)


def surrogates(known: Sequence[Row]) -> Part:
    """The value of the k-surrogate beside what the same policy earns among all robots."""
    rows = [
        {"k": row["k"], "surrogate": row["surrogate"], "return": row["return"], "half_width": row["half_width"]}
        for row in known
        if row["method"] == "exact" and row["rewards"] == "paper"
    ]
    shown: list[Sequence[str]] = [("k", "value of the k-surrogate", "return")]
    shown += [(str(row["k"]), f"{row['surrogate']:.3f}", f"{row['return']:.2f} +- {row['half_width']:.2f}") for row in rows]
    title = "The value of the k-surrogate falls where the return rises"
    return Part("surrogates", title, rows, shown, {"surrogates": figures.surrogate_figure(rows)})


def tolerance(work: Work, game: GlobalLocalGame, known: Sequence[Row]) -> Part:
    """The tolerance of Theorem 4.8 and the bound of Theorem 4.2 beside what is certified, and what Algorithm 3 does with it."""
    rows: list[Row] = []
    for row in known:
        if row["method"] != "exact" or row["rewards"] != "paper":
            continue
        k = row["k"]
        stops = None
        if k <= PRINTED:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", VacuousTolerance)
                stops = work.solve(game, AlternatingMARL(k, variant="paper")).iterations
        rows.append(
            {"k": k, "eta": eta(game, k), "theorem_4_2": global_gap(game, k, noise=0.0, steps=10**6).value, "half_steps": stops}
        )
        rows[-1] |= {"largest_value": game.reward_bound / (1.0 - game.gamma), "certified": row["gap_upper"]}
    shown: list[Sequence[str]] = [("k", "eta", "bound of Theorem 4.2", "largest value", "certified", "half-steps of Algorithm 3")]
    for row in rows:
        numbers = [f"{row[key]:,.4g}" for key in ("eta", "theorem_4_2", "largest_value", "certified")]
        shown.append((str(row["k"]), *numbers, "" if row["half_steps"] is None else str(row["half_steps"])))
    return Part("tolerance", "What the theorems promise, and what is certified", rows, shown)


def seconds(found: Mapping[str, Policies]) -> Part:
    """How long the policies took to find (Figure 3 b); the only part that is not the same for the same seed."""
    rows: list[Row] = [
        {"rewards": form, "method": method, "k": k, "seconds": one.seconds}
        for form, policies in found.items()
        for (method, k), one in policies.items()
        if one.seconds
    ]
    shown: list[Sequence[str]] = [("rewards", "method", "k", "seconds")]
    shown += [(row["rewards"], row["method"], str(row["k"]), f"{row['seconds']:.2f}") for row in rows]
    return Part("seconds", "Seconds to find the policies", rows, shown, {"seconds": figures.seconds_figure(rows)})


def claims(known: Mapping[str, Sequence[Row]]) -> Part:
    """What reproduces, from the rows of all other parts."""
    told = Claims([])
    for form in FORMS:
        for method, words in (("exact", "exact best responses"), ("authors", "the authors' code")):
            rows = [row for row in known["returns"] if (row["rewards"], row["method"]) == (form, method)]
            _rising(told, f"Figure 3, {form} rewards", f"returns increase in k: {words}", rows, "return")
        rows = [row for row in known["returns"] if (row["rewards"], row["method"]) == (form, "exact")]
        _rising(told, f"Figure 4, {form} rewards", "the mode is met more often as k grows", rows, "mode")
    seen = {row["k"]: row["mode"] for row in known["returns"] if (row["rewards"], row["method"]) == ("paper", "exact")}
    first, last = min(seen), 35 if 35 in seen else max(seen)
    ratio = seen[last] / seen[first]
    told.tell(
        "Figure 4",
        f"at k = {last} the mode is met more than twice as often as at k = {first}",
        ratio > 2,
        ratio,
        f"{ratio:.2f} times",
    )
    values = [row["surrogate"] for row in known["surrogates"]]
    falls = all(after <= before for before, after in pairwise(values))
    counted = f"it falls from {values[0]:.2f} to {values[-1]:.2f}" if falls else "it does not fall throughout"
    told.tell(
        "Theorem B.18", "values of different k are the same for the same histogram", not falls, values[0] - values[-1], counted
    )
    rows = list(known["tolerance"])
    told.most(
        "Theorem 4.2",
        "the bound is below the largest value",
        [row["theorem_4_2"] for row in rows],
        rows[0]["largest_value"],
        "at most {:,.0f}",
    )
    ended = [row["half_steps"] for row in rows if row["half_steps"] is not None]
    useful = first_useful_k(warehouse(ROBOTS))
    counted = (
        f"it stops after {max(ended)} half-step with the uniform policies; 2 eta is below the largest value from k = {useful:,} on"
    )
    told.tell(
        "Theorem 4.8", "Algorithm 3 with its own tolerance finds a policy", any(one > 1 for one in ended), max(ended), counted
    )
    climbed = {row["k"]: row for row in known["returns"] if (row["rewards"], row["method"]) == ("paper", "ascent")}
    for k, row in climbed.items():
        (exact,) = (one for one in known["returns"] if (one["rewards"], one["method"], one["k"]) == ("paper", "exact", k))
        gain = row["return"] - exact["return"]
        counted = f"{exact['return']:.2f}; ascent of the two-level surrogate finds {row['return']:.2f}"
        sure = gain > row["half_width"] + exact["half_width"]
        told.tell("G-LEARN", f"the optimum of the k-surrogate is the best policy that sees k = {k}", not sure, gain, counted)
    best = [row for row in known["returns"] if row["method"] == "exact" and row["rewards"] == "paper"][-1]
    share = best["gap_upper"] / best["bound"]
    counted = f"{100 * share:.2f} % of the best or less at k = {best['k']}"
    told.tell("not in the paper", "a few agents seen are certified to be enough", share < 0.05, share, counted)
    return told.part()


def _rising(told: Claims, where: str, claim: str, rows: Sequence[Row], key: str) -> None:
    """Whether a column rises with k; open where it falls by no more than the intervals."""
    if len(rows) < 2:
        return
    drops = [(before[key] - after[key], before, after) for before, after in pairwise(rows)]
    drop, before, after = max(drops, key=lambda one: one[0])
    counted = f"from {rows[0][key]:.4g} at k = {rows[0]['k']} to {rows[-1][key]:.4g} at k = {rows[-1]['k']}"
    if drop > 0:
        counted = f"{before[key]:.4g} at k = {before['k']}, {after[key]:.4g} at k = {after['k']}"
    noise = before["half_width"] + after["half_width"] if key == "return" else 0.0
    verdict: Any = True if drop <= 0 else None if drop <= noise else False
    told.tell(where, claim, verdict, float(drop), counted)
