"""Initial laws: of the histogram of any number of agents, against agent by agent, and samples against the law."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from eqsolve.driver.pack import from_bytes, to_bytes
from eqsolve.errors import InvalidGame
from eqsolve.mean_field import Histograms, InitialLaw
from tests.mean_field import games, oracle

LAWS = {
    "iid": InitialLaw([0.25, 0.75], "iid", [0.5, 0.0, 0.5]),
    "dirichlet": InitialLaw([0.25, 0.75], "dirichlet", [0.3, 1.7, 0.2]),
    "dirichlet with an empty state": InitialLaw([0.25, 0.75], "dirichlet", [0.3, 0.0, 2.0]),
    "counts": InitialLaw([1.0, 0.0], "counts", [3, 1, 2]),
}


def game_with(law, n=6):
    plain = games.small_game("many local actions", n=n)
    return type(plain)(plain.global_kernel, plain.local_kernel, plain.global_reward, plain.local_reward, n, 0.8, law)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("K", [1, 2, 4, 6])
def test_laws_of_histograms_agent_by_agent(name, K):
    law = LAWS[name]
    found = law.histogram_law(Histograms(K, 3))
    assert np.outer(law.global_law, found) == pytest.approx(oracle.initial_law(game_with(law), K), abs=1e-14)
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    assert Histograms(K, 3).table.T @ found / K == pytest.approx(law.moments(), abs=1e-13)


@pytest.mark.parametrize("n", [10**7, 10**15])
def test_laws_of_very_many_agents_are_exact(n):
    law, some = InitialLaw([1.0], "counts", [n // 2, n - n // 2]), Histograms(12, 2)
    exact = [Fraction(comb(n // 2, int(a)) * comb(n - n // 2, int(b)), comb(n, 12)) for a, b in some.table]
    assert law.histogram_law(some) == pytest.approx([float(one) for one in exact], rel=1e-12)
    wide = InitialLaw([1.0], "dirichlet", [float(n), float(n)]).histogram_law(some)
    assert wide == pytest.approx(InitialLaw([1.0], "iid", [0.5, 0.5]).histogram_law(some), rel=100 * 12**2 / n + 1e-12)
    assert wide.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("name", LAWS)
def test_a_sample_of_a_sample_is_a_sample(name):
    """The law of K agents, of whom k are drawn without replacement, is the law of k agents."""
    law, K, k = LAWS[name], 5, 2
    drawn = np.zeros(Histograms(k, 3).size)
    for d, chance in zip(Histograms(K, 3).table, law.histogram_law(Histograms(K, 3)), strict=True):
        drawn += chance * InitialLaw([1.0], "counts", d).histogram_law(Histograms(k, 3))
    assert drawn == pytest.approx(law.histogram_law(Histograms(k, 3)), abs=1e-13)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("n", [6, 4])
def test_samples_follow_the_law(name, n):
    law, B = LAWS[name], 20_000
    states, counts = law.sample(np.random.default_rng(1), B, n)
    assert counts.shape == (B, 3)
    assert (counts.sum(axis=1) == n).all()
    expected = law.histogram_law(Histograms(n, 3))
    found = np.bincount(Histograms(n, 3).checked_rank(counts), minlength=len(expected)) / B
    assert np.abs(found - expected).max() < 4 * np.sqrt(0.25 / B)
    assert np.abs(np.bincount(states, minlength=2) / B - law.global_law).max() < 4 * np.sqrt(0.25 / B)


def test_the_same_seed_gives_the_same_sample():
    for law in LAWS.values():
        once, twice = (law.sample(np.random.default_rng(3), 7, 6) for _ in range(2))
        assert [one.tolist() for one in once] == [one.tolist() for one in twice]


@pytest.mark.parametrize("law", [[0.25, 0.75], [0.0, 0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3], [1.0, 0.0]])
@pytest.mark.parametrize("B", [1, 7, 100])
def test_stratified_states_have_their_share(law, B):
    first = InitialLaw(law, "iid", [1.0])
    for seed in range(5):
        states, _ = first.sample(np.random.default_rng(seed), B, 3, stratified=True)
        assert np.abs(np.bincount(states, minlength=len(law)) - B * np.array(law)).max() < 1 + 1e-9


def test_states_of_probability_0_are_never_drawn():
    law = InitialLaw([0.0, 1 - 1e-10, 0.0], "iid", [1.0])
    for seed in range(20):
        assert set(law.sample(np.random.default_rng(seed), 50, 1, stratified=True)[0].tolist()) == {1}


def test_sums_off_by_rounding_can_be_sampled():
    law = InitialLaw([0.5 + 4e-10, 0.5], "iid", [0.5 + 4e-10, 0.5, 0.0])
    states, counts = law.sample(np.random.default_rng(0), 100, 50)
    assert set(states.tolist()) == {0, 1}
    assert counts[:, 2].tolist() == [0] * 100


def test_laws_of_millions_of_agents():
    for law in (LAWS["iid"], LAWS["dirichlet"], InitialLaw([1.0], "counts", [4_000_000, 0, 6_000_000])):
        _, counts = law.sample(np.random.default_rng(0), 3, 10_000_000)
        assert counts.sum(axis=1).tolist() == [10_000_000] * 3
    found = InitialLaw([1.0], "counts", [4_000_000, 6_000_000]).histogram_law(Histograms(2, 2))
    assert found == pytest.approx([0.16, 0.48, 0.36], abs=1e-6)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (([0.5, 0.4], "iid", [1.0]), "global_law sums to 0.9"),
        (([1.5, -0.5], "iid", [1.0]), "global_law\\[1\\] is -0.5"),
        (([1.0], "iid", [0.5, 0.4]), "local sums to 0.9"),
        (([1.0], "iid", [[1.0]]), "shape"),
        (([1.0], "dirichlet", [1.0, -0.1]), "local\\[1\\] is -0.1, a negative concentration"),
        (([1.0], "dirichlet", [0.0, 0.0]), "no positive entry"),
        (([1.0], "counts", [1.5, 2]), "not a whole number"),
        (([1.0], "counts", [3, -1]), "negative number of agents"),
        (([1.0], "uniform", [1.0]), "'uniform', not one of iid, dirichlet, counts"),
        (([np.nan], "iid", [1.0]), "nan"),
    ],
)
def test_refused(given, match):
    with pytest.raises(InvalidGame, match=match):
        InitialLaw(*given)


def test_laws_of_other_games():
    game_with(LAWS["counts"])
    with pytest.raises(InvalidGame, match="counts 6 agents, and the game has 7"):
        game_with(LAWS["counts"], n=7)
    for law, match in (
        (InitialLaw([1.0], "iid", [0.5, 0.5, 0.0]), "global_law has 1"),
        (InitialLaw([0.5, 0.5], "iid", [1.0]), "local has 1"),
    ):
        with pytest.raises(InvalidGame, match=match):
            game_with(law)
    with pytest.raises(InvalidGame, match="7 agents cannot be drawn from the 6"):
        LAWS["counts"].histogram_law(Histograms(7, 3))
    with pytest.raises(InvalidGame, match="7 agents cannot be drawn"):
        LAWS["counts"].sample(np.random.default_rng(0), 2, 7)
    with pytest.raises(InvalidGame, match="over 2 states"):
        LAWS["iid"].histogram_law(Histograms(2, 2))


@pytest.mark.parametrize("name", LAWS)
def test_laws_survive_files(name):
    back = from_bytes(to_bytes(LAWS[name]), "law")
    assert (back.kind, back.global_law.tolist(), back.local.tolist()) == (
        name.split()[0],
        LAWS[name].global_law.tolist(),
        LAWS[name].local.tolist(),
    )
