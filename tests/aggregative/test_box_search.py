"""Branch and bound over blocks cut along one axis: the same answers, true bounds, gaps that are kept, runs that go on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqsolve.aggregative import (
    AffinePayoffs,
    AggregativeGame,
    AggregativeNash,
    CurvePayoffs,
    NoFeasibleCell,
    congestion,
    ev_charging,
    player_gains,
    random_affine,
)
from eqsolve.aggregative.box_search import BoxSearch
from eqsolve.aggregative.master import Master
from eqsolve.aggregative.programs import Box
from eqsolve.aggregative.search_state import SearchState
from eqsolve.aggregative.sweep import Search
from eqsolve.backends import Limits, Outcome, Termination, get_backend, solve_family
from eqsolve.driver import Checkpoints, OutOfTime, Result, Status, solve
from eqsolve.driver.pack import from_bytes, to_bytes
from eqsolve.errors import EqsolveError, InvalidData
from tests.aggregative.oracle import FAMILIES, all_profiles, tiny_game
from tests.aggregative.test_search import Liar
from tests.backends.usable import able_backends


def clash(players: int, dimension: int, types: int | None = None, seed: int = 0) -> AggregativeGame:
    """Players who react to the aggregator more than they prefer: much of the range is left by the interval tests."""
    rng = np.random.default_rng(seed)
    kinds = types or players
    columns = 3 * kinds
    payoff = AffinePayoffs(0.3 * rng.uniform(-1, 1, columns), rng.uniform(-1, 1, (columns, dimension)))
    g = rng.uniform(-1, 1, (columns, dimension)) / players
    return AggregativeGame(np.full(kinds, 3), g, payoff, rng.random(columns), count=np.full(kinds, players // kinds))


STANDARD = {
    "congestion": congestion(100, 3),
    "congestion of types": congestion(300, 3, types=4),
    "ev charging": ev_charging(200, 3),
    "affine": random_affine(400, (1, 4), 2),
    "affine of types": random_affine(120, 3, 3, types=5),
    "clash": clash(40, 2),
    "one coordinate that cannot move": random_affine(5, 1, 1),
}


@pytest.mark.parametrize(
    ("name", "tolerance"), [*((name, "opt") for name in STANDARD), ("affine", "existence"), ("clash", "existence")]
)
def test_the_answer_is_that_of_the_sweep(name, tolerance):
    """Certificate first: program, exact gap against its bound; then the same optimum as the search that cuts all axes."""
    game = STANDARD[name]
    result = AggregativeNash(tolerance, split="widest").solve(game)
    assert result.certificate.holds(1e-7)
    assert result.gap.upper <= result.bounds[0].value + 1e-9
    assert result.gap.upper == pytest.approx(player_gains(result.merged, result.plays).max(), abs=1e-12)
    assert result.is_converged
    other = AggregativeNash(tolerance).solve(game)
    assert result.found.outcome.objective == pytest.approx(other.found.outcome.objective, abs=1e-7)
    assert result.bound == pytest.approx(other.bound, abs=1e-7)


@pytest.mark.parametrize("seed", range(44))
def test_the_best_of_all_cells_and_all_equilibria(seed):
    game = tiny_game(seed)
    cells = int(np.random.default_rng(seed).integers(1, 5))
    preset = ("existence", "opt", "paper", 0.2)[seed % 4]
    algorithm = AggregativeNash(preset, cells=cells, split="widest")
    family = algorithm.family(game.merged())
    values = [one.objective for one in solve_family(family, "native", vertex=True) if one.x is not None]
    if not values:
        with pytest.raises(NoFeasibleCell, match="no cell of"):
            algorithm.solve(game)
        return
    for gap in (0.0, 0.05)[: 1 + seed % 2]:
        result = replace(algorithm, welfare_gap=gap).solve(game)
        best = result.found.outcome.objective
        assert result.is_converged
        assert best <= max(values) + 1e-9 <= result.bound + 2e-9
        assert result.bound - best <= gap * abs(best) + 1e-9
        exact = [one.welfare for one in all_profiles(game) if one.gap <= 0.0]
        assert preset != "opt" or not exact or result.bound >= max(exact) - 1e-9


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tight_box_keeps_what_any_of_its_cells_allows(family):
    """Random blocks of random games, cell by cell; and it keeps no more than the box by Lipschitz constants alone."""
    fewer = 0
    for seed in range(25):
        game = tiny_game(seed, family)
        stages = AggregativeNash("existence", cells=4).family(game)
        rng = np.random.default_rng(seed)
        low = rng.integers(0, stages.grid.cells)
        high = low + 1 + rng.integers(0, stages.grid.cells - low)
        loose = Box.at(stages._whole, stages.grid, stages.tolerance, low, high)
        tight = Box.at(stages._whole, stages.grid, stages.tolerance, low, high, tight=True)
        assert (tight.allowed <= loose.allowed).all()
        fewer += int((loose.allowed & ~tight.allowed).sum())
        for index in np.ndindex(*(high - low)):
            cell = stages.box(stages.grid.number(low + np.array(index)))
            assert (cell.allowed <= tight.allowed).all()
    assert fewer or family in ("tabulated", "callable")


@pytest.mark.parametrize("family", FAMILIES)
def test_ranges_and_leads_hold_at_random_points(family):
    for seed in range(20):
        game = tiny_game(seed, family)
        rng = np.random.default_rng(seed)
        ends = np.sort(game.lower + (game.upper - game.lower) * rng.random((2, game.n_coordinates)), axis=0)
        low, high = game.payoff.range_on(*ends)
        x = np.vstack((ends, ends[0] + (ends[1] - ends[0]) * rng.random((50, game.n_coordinates))))
        u = game.payoff.batch(x)
        assert (low <= u).all()
        assert (u <= high).all()
        columns, others = rng.integers(0, game.n_columns, (2, 30))
        lead = game.payoff.lead_on(columns, others, *ends)
        assert lead is None or (u[:, columns] - u[:, others] <= lead).all()
        if family == "curves":
            assert (np.minimum(u.min(axis=0) - low, high - u.max(axis=0)) <= 5.0).all()


def test_ranges_of_single_terms_are_exact():
    game = congestion(20, 3, types=4)
    low, high = game.payoff.range_on(np.array([0.1, 0.2, 0.3]), np.array([0.2, 0.5, 0.4]))
    u = game.payoff.batch(np.array([[0.1, 0.2, 0.3], [0.2, 0.5, 0.4]]))
    assert low == pytest.approx(u[1])
    assert high == pytest.approx(u[0])
    curve = CurvePayoffs([0.0, 1.0, 2.0], [[0.0, 3.0, 0.0]], [0], [0], [-1.0], [1.0], 1)
    assert [float(one[0]) for one in curve.range_on(np.array([0.5]), np.array([1.5]))] == pytest.approx([-2.0, -0.5])


@pytest.mark.parametrize("seed", range(10))
def test_what_shrinking_drops_has_no_feasible_program(seed):
    game = tiny_game(seed)
    family = AggregativeNash("existence", cells=5).family(game.merged())
    search = BoxSearch(family)
    d = len(family.grid.cells)
    tested = search._tested(np.zeros(d, dtype=np.int64), family.grid.cells, search.whole, np.inf)
    feasible = [k for k, one in enumerate(solve_family(family, "native")) if one.x is not None]
    assert tested is not None
    node = tested[1]
    for number in feasible:
        index = np.array(family.grid.index(number))
        assert (node.low <= index).all()
        assert (index < node.high).all()


@pytest.mark.parametrize("dimension", [4, 5, 6])
def test_many_coordinates(dimension):
    """The children of one block are 2^d there; a bound of 2 % is a matter of seconds."""
    crowd = congestion(100, 4, types=6) if dimension == 4 else ev_charging(200, dimension)
    for game in (crowd, random_affine(200, 3, dimension), random_affine(200, 3, dimension, types=5)):
        result = AggregativeNash(split="widest", welfare_gap=0.02).solve(game)
        assert result.is_converged
        assert result.certificate.holds(1e-7)
        assert result.gap.upper <= result.bounds[0].value
        value = result.found.outcome.objective
        assert value <= result.bound <= value + 0.02 * abs(value) + 1e-9
    assert "welfare gap" in str(result)
    assert result.to_json()["welfare_gap"] == result.welfare_gap
    assert result.to_json()["selects_over"] == "pure Nash equilibria"


@pytest.mark.parametrize("split", ["all", "widest"])
def test_gaps_are_kept_relative_and_absolute(split):
    game = STANDARD["clash"]
    best = AggregativeNash().solve(game)
    programs = [best.found.counts.blocks]
    for gaps in ({"welfare_gap": 0.02}, {"welfare_gap_absolute": 1.0}, {"welfare_gap": 0.001, "welfare_gap_absolute": 2.0}):
        result = AggregativeNash(split=split, **gaps).solve(game)
        allowed = max(gaps.get("welfare_gap", 0.0) * abs(best.bound), gaps.get("welfare_gap_absolute", 0.0))
        assert result.is_converged
        assert result.found.outcome.objective <= best.bound + 1e-9
        assert best.bound - 1e-9 <= result.bound <= result.found.outcome.objective + allowed + 1e-9
        programs.append(result.found.counts.blocks)
    assert min(programs[1:]) < programs[0]


def test_the_default_says_nothing_new():
    text, values = str(AggregativeNash().solve(STANDARD["affine"])), AggregativeNash().solve(STANDARD["affine"]).to_json()
    assert "welfare gap" not in text
    assert "selects_over" not in values


def test_every_backend_solves_the_relaxations():
    game = clash(12, 2, seed=3)
    algorithm = AggregativeNash(split="widest", cells=4)
    native = algorithm.solve(game)
    assert native.found.counts.programs > 3
    family = algorithm.family(game)
    for backend in able_backends(family.base):
        result = algorithm.solve(game, backend=backend)
        assert result.certificate.holds(1e-5)
        assert result.bound == pytest.approx(native.bound, abs=1e-5)


def test_a_relaxation_is_printed_like_any_program():
    family = AggregativeNash(split="widest", cells=4).family(STANDARD["clash"])
    program = family.base.with_values(family.relaxation(np.array([0, 1]), np.array([2, 4])))
    assert "a block of 6 cells of 16" in str(program)
    inside = [family.base.with_values(family.update(family.grid.number((i, j)))) for i in (0, 1) for j in (1, 2, 3)]
    assert all((one.col_upper <= program.col_upper).all() for one in inside)
    assert all((one.row_lower >= program.row_lower - 1e-9).all() for one in inside)


GAME = clash(40, 3, seed=2)
FINE = AggregativeNash(split="widest", half_width=0.02)


@pytest.mark.parametrize("backend", ["auto", "highs"])
def test_a_resumed_search_is_the_uninterrupted_one(backend, tmp_path):
    whole = solve(GAME, FINE, backend=backend)
    assert whole.iterations > 3 * FINE.period
    stops = range(FINE.period, whole.iterations, FINE.period if whole.iterations < 60 else 5 * FINE.period)
    for cut in stops:
        asked = Checkpoints(tmp_path, seconds=0.0, resume=cut > FINE.period)
        part = solve(GAME, FINE, backend=backend, checkpoint=asked, limits=Limits(iterations=cut))
        assert part.history["bound"].tolist() == whole.history["bound"][:cut].tolist()
        assert (np.diff(part.history["bound"]) <= 0).all()
        assert part.bound >= whole.found.outcome.objective
        assert part.status is Status.OUT_OF_ITERATIONS
    again = solve(GAME, FINE, backend=backend, checkpoint=Checkpoints(tmp_path, resume=True))
    assert again.history.equals(whole.history)
    assert to_bytes(again.policy) == to_bytes(whole.policy)
    assert again.details() == whole.details()
    assert (again.gap, again.status, again.value, again.bounds) == (whole.gap, whole.status, whole.value, whole.bounds)


def test_a_state_goes_through_a_file_bit_for_bit():
    search = FINE.search(GAME, rescue=True)
    with search.open("auto") as session:
        for _ in range(25):
            search.take(session, Limits())
        state = from_bytes(to_bytes(SearchState.of(search, True)), "state")
        other = state.search(FINE, GAME)
        assert isinstance(other, BoxSearch)
        for _ in range(25):
            assert [one[:3] for one in sorted(other.heap, key=lambda one: one[:3])] == [
                one[:3] for one in sorted(search.heap, key=lambda one: one[:3])
            ]
            assert (other.counts, other.bound(), other.plunge) == (search.counts, search.bound(), search.plunge)
            for each in (search, other):
                each.take(session, Limits())


def test_a_saved_search_that_was_cut_keeps_its_bound(tmp_path):
    cut = solve(GAME, FINE, limits=Limits(iterations=9))
    back = Result.load(cut.save(tmp_path))
    assert back.bound == cut.bound > cut.found.outcome.objective
    assert back.welfare_gap == cut.welfare_gap
    assert len(back.state.low) == 0


def best_of(game, algorithm):
    return max(one.objective for one in solve_family(algorithm.family(game), "native") if one.x is not None)


@pytest.mark.parametrize("method", ["_tested", "take", "_priced", "_push", "_reached", "_relaxed", "_cut", "_next", "_try"])
def test_an_interrupt_anywhere_leaves_a_true_bound(monkeypatch, method):
    game, algorithm = clash(12, 2, seed=1), AggregativeNash(split="widest", cells=6)
    best = best_of(game, algorithm)
    owner = BoxSearch if method in vars(BoxSearch) else Search
    original = getattr(owner, method)
    for stop in range(1, 40, 2):
        calls = 0

        def interrupted(self, *arguments, stop=stop):
            nonlocal calls
            calls += 1
            if calls == stop:
                raise KeyboardInterrupt
            return original(self, *arguments)

        monkeypatch.setattr(owner, method, interrupted)
        search = None
        try:
            search = algorithm.search(game, rescue=True)
            with search.open("auto") as session:
                ended = search.run(session, Limits())
        except KeyboardInterrupt:
            # Before there was an answer; a search that was made has a true bound even so.
            assert search is None or search.bound() >= best - 1e-9
            continue
        assert search.best_value <= best + 1e-9 <= search.bound() + 2e-9
        if ended == "complete":
            break


@pytest.mark.parametrize("lie", ["infeasible", "worse"])
@pytest.mark.parametrize("seed", range(3))
def test_a_backend_that_lies_cannot_lower_the_bound(lie, seed):
    game, algorithm = clash(12, 2, seed=seed), AggregativeNash(split="widest", cells=4)
    best = best_of(game, algorithm)
    search = algorithm.search(game, rescue=True)
    with get_backend("native").open(search.family.base, vertex=True) as session:
        search.run(Liar(session, lie), Limits())
    assert search.bound() >= best - 1e-9


def test_budgets_are_never_called_convergence():
    result = FINE.solve(GAME, limits=Limits(iterations=2))
    assert result.status is Status.OUT_OF_ITERATIONS
    assert result.bound > result.found.outcome.objective
    with pytest.raises(NoFeasibleCell, match="ended before a feasible cell was found"):
        FINE.solve(GAME, limits=Limits(seconds=0.0))
    search = FINE.search(GAME, rescue=True)

    class Slow:
        def update(self, values):
            pass

        def solve(self, limits):
            raise OutOfTime

    before = search.bound()
    with pytest.raises(OutOfTime):
        search.take(Slow(), Limits(seconds=1.0))
    assert search.bound() == before
    assert not search.is_complete


class Failing:
    def __init__(self, session, termination):
        self.session, self.termination = session, termination

    program = property(lambda self: self.session.program)

    def update(self, values):
        self.session.update(values)

    def solve(self, limits):
        return Outcome(self.termination, notes=("it is tired",))


@pytest.mark.parametrize(
    ("termination", "error"),
    [
        (Termination.FAILED, EqsolveError),
        (Termination.ITERATION_LIMIT, EqsolveError),
        (Termination.TIME_LIMIT, OutOfTime),
        (Termination.INTERRUPTED, KeyboardInterrupt),
    ],
)
def test_a_backend_that_settles_nothing_ends_the_search(termination, error):
    search = FINE.search(GAME, rescue=False)
    with get_backend("native").open(search.family.base, vertex=True) as session, pytest.raises(error):
        search.take(Failing(session, termination), Limits())


def test_highs_answers_where_the_native_method_gives_up(monkeypatch):
    game, algorithm = clash(20, 2, seed=1), AggregativeNash(split="widest", cells=6)
    native = algorithm.solve(game)
    monkeypatch.setattr("eqsolve.aggregative.master.MAX_PIVOTS", 0)
    rescued = algorithm.solve(game)
    assert rescued.found.outcome.backend == "highs"
    assert rescued.bound == pytest.approx(native.bound, abs=1e-7)


def test_a_singular_basis_gives_up_and_highs_answers(monkeypatch):
    """The master goes back to the basis before and ends as if its pivots had run out."""
    game, algorithm = clash(20, 2, seed=1), AggregativeNash(split="widest", cells=6)
    native = algorithm.solve(game)
    refresh, calls = Master._refresh, 0

    def singular(self):
        nonlocal calls
        calls += 1
        if calls % 7 == 6 and hasattr(self, "x"):
            raise np.linalg.LinAlgError("Singular matrix")
        refresh(self)

    monkeypatch.setattr(Master, "_refresh", singular)
    rescued = algorithm.solve(game)
    assert calls > 7
    assert rescued.bound == pytest.approx(native.bound, abs=1e-7)
    assert rescued.is_converged


def test_a_singular_basis_leaves_the_master_as_it_was(monkeypatch):
    master = Master(np.array([0.4]), np.array([0.6]), 1.0, np.array([1.0]))
    master.add(0.0, np.array([0.0]))
    before = (list(master.basis), master.at_high.tolist(), master.x.tolist())
    refresh = Master._refresh

    def singular(self):
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(Master, "_refresh", singular)
    assert not master.optimise(True)
    assert (list(master.basis), master.at_high.tolist(), master.x.tolist()) == before
    monkeypatch.setattr(Master, "_refresh", refresh)
    assert master.optimise(True)
    assert master.is_feasible


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "longest"}, "split is 'longest'"),
        ({"welfare_gap": -0.1}, "welfare_gap is -0.1"),
        ({"welfare_gap": np.nan}, "welfare_gap is nan"),
        ({"welfare_gap": "1 %"}, "welfare_gap is '1 %', not a number"),
        ({"welfare_gap_absolute": -1.0}, "welfare_gap_absolute is -1"),
    ],
)
def test_bad_parameters_are_refused(change, message):
    with pytest.raises(InvalidData, match=message):
        AggregativeNash(**change)


def test_coordinates_of_very_different_size_and_huge_grids():
    g = [[-4097.1, 3.3e-05, 250505.0], [9267.75, -5.6e-05, -506133.5], [-5358.0, -1.03e-05, 1066.6], [-692.1, 9.9e-05, 275701.0]]
    game = AggregativeGame([2, 2], g, AffinePayoffs(np.zeros(4), np.zeros((4, 3))), [0.6, 0.5, 0.2, 0.6])
    for cells in (5, 8):
        assert AggregativeNash("existence", cells=cells, split="widest").solve(game).found.bound == pytest.approx(1.2)
    result = AggregativeNash(split="widest").solve(random_affine(6_000_000, 3, 3, types=12))
    assert result.family.size > 2**63
    assert result.is_converged


def test_no_tolerance_can_leave_no_cell():
    empty = 0
    for seed in range(30):
        algorithm, game = AggregativeNash(0.0, cells=4, split="widest"), tiny_game(seed)
        if all(outcome.x is None for outcome in solve_family(algorithm.family(game.merged()), "native")):
            empty += 1
            with pytest.raises(NoFeasibleCell, match="preset 'existence'"):
                algorithm.solve(game)
    assert empty
