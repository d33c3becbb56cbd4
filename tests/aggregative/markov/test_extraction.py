"""The extraction of Lipschitzness: raster scan, brute force, visited cells and linear program are one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.aggregative.markov.extraction import (
    COMPILE_FROM,
    confidence_program,
    distances,
    extension,
    lower_extension,
    upper_extension,
)
from eqsolve.aggregative.markov.optimistic import ExtensionPayoffs
from eqsolve.backends import solve_program
from eqsolve.certificates import certify
from eqsolve.errors import InvalidData, UnknownName
from eqsolve.programs import Program
from tests.backends.usable import able_backends, usable_backends


def by_hand(values, spacing, slope):
    """The definition, with loops over all pairs of cells."""
    cells = list(product(*(range(side) for side in values.shape)))
    found = np.full(values.shape, np.inf)
    for x in cells:
        for other in cells:
            apart = max(abs(a - b) * step for a, b, step in zip(x, other, spacing, strict=True))
            found[x] = min(found[x], values[other] + slope * apart)
    return found


@st.composite
def grids(draw):
    """Values on a small grid of 1 to 3 coordinates, some unknown; the spacing even or not."""
    d = draw(st.integers(1, 3))
    sides = tuple(draw(st.lists(st.integers(1, 12 if d == 1 else 5 if d == 2 else 4), min_size=d, max_size=d)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = np.where(rng.random(sides) < draw(st.sampled_from([0.0, 0.5, 0.9])), np.inf, rng.normal(size=sides))
    even = draw(st.booleans())
    spacing = np.full(d, rng.uniform(0.01, 2.0)) if even else rng.uniform(0.01, 2.0, d)
    return values, spacing, draw(st.sampled_from([0.0, 0.3, 5.0])), even


@settings(deadline=None)
@given(grids())
def test_every_method_is_the_definition(case):
    values, spacing, slope, even = case
    expected = by_hand(values, spacing, slope)
    for method in ("auto", "brute", *(("raster",) if even else ())):
        found = upper_extension(values, spacing, slope, method=method)
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)
        again = upper_extension(found, spacing, slope, method=method)
        np.testing.assert_allclose(again, found, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(lower_extension(-values, spacing, slope, method=method), -found, rtol=0, atol=0)


@settings(deadline=None)
@given(grids())
def test_the_visited_cells_are_enough(case):
    values, spacing, slope, _ = case
    index = np.stack(np.unravel_index(np.arange(values.size), values.shape), axis=1)
    places, flat = index * spacing, values.reshape(-1)
    seen = np.isfinite(flat)
    found = extension(distances(places, places[seen]), flat[None, seen], np.array([slope]))[:, 0]
    np.testing.assert_allclose(found, by_hand(values, spacing, slope).reshape(-1), rtol=1e-13, atol=1e-13)


def test_many_functions_at_once_each_with_its_own_constant():
    rng = np.random.default_rng(0)
    values, slope = rng.normal(size=(3, 2, 6, 5)), rng.random((3, 2)) * 4
    for method in ("raster", "brute"):
        found = upper_extension(values, [0.1, 0.1], slope, method=method)
        for k in product(range(3), range(2)):
            np.testing.assert_allclose(found[k], by_hand(values[k], [0.1, 0.1], slope[k]), rtol=1e-13, atol=1e-13)


def test_a_large_even_grid_is_scanned_and_agrees_with_brute_force():
    rng = np.random.default_rng(1)
    values = np.where(rng.random((60, 50)) < 0.7, np.inf, rng.normal(size=(60, 50)))
    assert values.size >= COMPILE_FROM
    scanned = upper_extension(values, [0.02, 0.02], 3.0)
    assert scanned.tobytes() == upper_extension(values, [0.02, 0.02], 3.0, method="raster").tobytes()
    np.testing.assert_allclose(scanned, upper_extension(values, [0.02, 0.02], 3.0, method="brute"), rtol=1e-13, atol=1e-13)


def test_what_is_given_is_not_written_to():
    values = np.array([3.0, 0.0, 3.0])
    upper_extension(values, [1.0], 1.0, method="raster")
    assert values.tolist() == [3.0, 0.0, 3.0]


@pytest.mark.parametrize(
    ("values", "spacing", "slope", "more", "message"),
    [
        ([1.0], [1.0, 1.0], 1.0, {}, "1 axes and spacing 2"),
        ([1.0, np.nan], [1.0], 1.0, {}, r"values\[1\] is nan"),
        ([1.0], [0.0], 1.0, {}, r"spacing\[0\] is 0"),
        ([1.0], [1.0], -1.0, {}, "slope is -1"),
        ([[1.0, 2.0]], [1.0], [1.0, 2.0], {}, "slope has the shape"),
        ([[1.0, 2.0], [1.0, 2.0]], [1.0, 2.0], 1.0, {"method": "raster"}, "uneven"),
    ],
)
def test_bad_input(values, spacing, slope, more, message):
    with pytest.raises(InvalidData, match=message):
        upper_extension(values, spacing, slope, **more)


def test_unknown_method():
    with pytest.raises(UnknownName, match="rasta"):
        upper_extension([1.0], [1.0], 1.0, method="rasta")


def interval(seed, sides):
    """Bounds on a function that is Lipschitz, loose at most cells, tight at some."""
    rng = np.random.default_rng(seed)
    index = np.stack(np.unravel_index(np.arange(int(np.prod(sides))), sides), axis=1)
    places, slope = index * 0.1, 1.5
    truth = upper_extension(rng.random(sides), [0.1] * len(sides), slope).reshape(-1)
    seen = rng.random(truth.shape) < 0.4
    room = np.where(seen, rng.random(truth.shape) * 0.1, 5.0)
    return places, truth - room, truth + room, slope


@pytest.mark.parametrize("sides", [(9,), (4, 5)])
@pytest.mark.parametrize("backend", usable_backends("LP"))
def test_the_closed_form_is_the_optimum_of_the_program(backend, sides):
    places, lower, upper, slope = interval(3, sides)
    spacing = [0.1] * len(sides)
    high = upper_extension(upper.reshape(sides), spacing, slope).reshape(-1)
    low = lower_extension(lower.reshape(sides), spacing, slope).reshape(-1)
    for cell in (0, 4, len(places) - 1):
        for sense, expected in (("max", high), ("min", low)):
            program = confidence_program(places, lower, upper, slope, cell, sense, sides=sides)
            assert backend in able_backends(program)
            outcome = solve_program(program, backend=backend)
            assert certify(program, outcome).holds(1e-6)
            assert outcome.objective == pytest.approx(expected[cell], abs=1e-6)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(7,), (3, 4), (2, 3, 3)]))
def test_neighbours_imply_all_pairs(seed, sides):
    places, lower, upper, slope = interval(seed, sides)
    cell = seed % len(places)
    one, other = (solve_program(confidence_program(places, lower, upper, slope, cell, sides=kind)) for kind in (sides, None))
    assert one.objective == pytest.approx(other.objective, abs=1e-7)
    expected = upper_extension(upper.reshape(sides), [0.1] * len(sides), slope).reshape(-1)[cell]
    assert one.objective == pytest.approx(expected, abs=1e-7)


def test_a_program_reads_and_writes_like_every_other(tmp_path):
    program = confidence_program([[0.0], [0.1], [0.2]], [0, 0, 0], [1, 0.2, 1], 2.0, 0, sides=(3,))
    assert program.kind == "LP"
    assert "lipschitz[pair]" in str(program)
    program.write(tmp_path / "c.lp")
    assert solve_program(Program.read(tmp_path / "c.lp")).objective == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("lower", "upper", "cell", "message"),
    [([1, 0], [0, 1], 0, r"lower\[0\] is 1, above"), ([0, 0], [1, 1], 2, "no cell 2"), ([0], [1, 1], 0, "lower has shape")],
)
def test_bad_programs(lower, upper, cell, message):
    with pytest.raises(InvalidData, match=message):
        confidence_program([[0.0], [1.0]], lower, upper, 1.0, cell)


def test_too_many_cells_for_a_program():
    with pytest.raises(InvalidData, match="20,001 cells is too large"):
        confidence_program(np.zeros((20_001, 1)), 0.0, 1.0, 1.0, 0)


def test_the_family_is_its_definition_everywhere():
    rng = np.random.default_rng(5)
    places, worth, slope = rng.random((4, 2)), rng.random((3, 4)), np.array([0.0, 1.0, 9.0])
    worth[1, 2] = np.inf
    owner = np.array([0, 2, 1, 1, 2])
    family = ExtensionPayoffs(places, worth, slope, np.full(3, 0.2), np.full(3, 0.9), owner)
    x = rng.uniform(-1, 2, (50, 2))
    apart = np.abs(x[:, None] - places).max(axis=2)
    expected = np.clip((worth[owner][None] + slope[owner][None, :, None] * apart[:, None]).min(axis=2), 0.2, 0.9)
    np.testing.assert_allclose(family.batch(x), expected, rtol=1e-14)
    columns = rng.integers(0, 5, 50)
    np.testing.assert_allclose(family.at(columns, x), expected[np.arange(50), columns], rtol=1e-14)
    part = family.take(np.array([4, 0]))
    assert part.worth.shape == (2, 4)
    np.testing.assert_array_equal(part.batch(x), family.batch(x)[:, [4, 0]])
    L = family.lipschitz(np.full(2, -1.0), np.full(2, 2.0))
    moved = np.abs(family.batch(x[1:]) - family.batch(x[:-1]))
    assert (moved <= L * np.abs(x[1:] - x[:-1]).max(axis=1)[:, None] + 1e-12).all()
    assert (family.lipschitz(x[0], x[0]) == 0).all()
    same = family.signature()
    assert (same[1] == same[4]).all()
    assert (same[1] != same[0]).any()


def test_a_family_without_places_is_its_cap():
    family = ExtensionPayoffs(
        np.zeros((0, 2)), np.zeros((2, 0)), np.ones(2), np.zeros(2), np.array([3.0, 4.0]), np.array([1, 0, 1])
    )
    assert family.batch(np.zeros((2, 2))).tolist() == [[4.0, 3.0, 4.0]] * 2
    assert family.at(np.array([0, 1]), np.zeros((2, 2))).tolist() == [4.0, 3.0]
    assert family.lipschitz(np.zeros(2), np.ones(2)).tolist() == [0.0] * 3
