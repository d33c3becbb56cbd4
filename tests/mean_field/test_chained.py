"""Chains of Algorithms 7 to 9, and the order of the bounds that they belong to."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.errors import InvalidData, UnknownName
from eqsolve.mdp import FiniteMDP, InvalidMDP, evaluate, optimal_policy, optimality_gap, random_mdp
from eqsolve.mean_field import InitialLaw, SubsampledPolicy
from eqsolve.mean_field.generators import random_game, warehouse
from eqsolve.mean_field.operators.zones import moves
from eqsolve.mean_field.policy import InvalidPolicy
from eqsolve.mean_field.processes.chained import chained_mdp, chained_response, chained_size, deciding_states
from eqsolve.mean_field.processes.relaxations import full_information_mdp, joint_mdp
from eqsolve.mean_field.processes.surrogate import surrogate_mdp
from tests.mean_field import oracle
from tests.mean_field.games import PI_STAR, SHAPES, cases, known, random_local, random_policy, small_game, tiny_games

FORMS = [(form, hide) for form in ("replicas", "states") for hide in (False, True)]
BOUNDED = ("plain", "two states", "one global state", "ragged", "zeros", "two types")


def optimum(mdp):
    """The optimal value from the initial law, after the certificate."""
    found = optimal_policy(mdp)
    assert optimality_gap(mdp, mdp.deterministic(found.choice)).upper < 1e-8
    return float((mdp.initial * found.values).sum())


def as_chain(chain, local):
    """The policy of the chain that plays a shared local policy wherever somebody acts."""
    owner = chain.mdp.owner
    policy = local[chain.world[owner], chain.zone[owner], chain.action]
    alone = np.repeat(chain.mdp.n_actions == 1, chain.mdp.n_actions)
    return np.where(alone, 1.0, policy)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_surrogate_is_that_of_the_definitions(case):
    mdp = surrogate_mdp(case.game, case.k, case.local)
    best, _ = oracle.optimal_values(case.game, case.k, case.local)
    assert optimum(mdp) == pytest.approx(oracle.mean_value(case.game, best, case.k), abs=1e-8)


def test_moves_from_cells_are_those_of_independent_agents():
    """Cells as states twice over: a histogram over cells is one over (state, action)."""
    rng = np.random.default_rng(0)
    law = moves(rng.dirichlet(np.ones(2), size=3), 2)
    assert law.shape == (6, 3)
    rows = rng.dirichlet(np.ones(3), size=3)
    place = oracle.places(2, 3)
    for crowd, h in place.items():
        assert moves(rows, 2)[h] == pytest.approx(oracle.move_law(rows, crowd, place), abs=1e-14)


@pytest.mark.parametrize("shape", BOUNDED)
def test_shared_policies_full_information_chains_and_joint_control_are_in_order(shape):
    game = small_game(shape, seed=3, n=4, **({} if SHAPES[shape].get("local_states", 3) == 2 else {"global_states": 2}))
    policy = random_policy(np.random.default_rng(1), game, 2, deterministic=shape != "plain")
    full, joint = optimum(full_information_mdp(game, policy)), optimum(joint_mdp(game, 2))
    rows = policy.global_rows(game.n_global_actions)
    assert full == pytest.approx(oracle.mean_value(game, oracle.joint_values(game, 2, rows), 2), abs=1e-8)
    assert joint == pytest.approx(oracle.mean_value(game, oracle.joint_values(game, 2), 2), abs=1e-8)
    value = {each: chained_response(game, policy, each[0], hide_pending=each[1]) for each in FORMS}
    assert value["replicas", True].value == pytest.approx(full, abs=1e-7)
    assert value["states", True].value <= full + 1e-8
    assert full <= value["replicas", False].value + 1e-8
    assert full <= joint + 1e-8
    surrogate = np.array([surrogate_value(game, policy, local) for local in some_locals(game)])
    assert surrogate.max() <= value["states", True].value + 1e-8
    assert surrogate.max() <= joint + 1e-8
    for answer in value.values():
        projected = answer.local_policy
        assert game.check_local(projected) is not None
        assert surrogate_value(game, policy, projected) <= full + 1e-8
        assert answer.lower <= answer.value <= answer.upper


def surrogate_value(game, policy, local):
    """J_k of a shared local policy against the global one."""
    mdp = surrogate_mdp(game, policy.k, local)
    rows = policy.global_rows(game.n_global_actions)
    here = np.repeat(game.global_available[:, None, :], rows.shape[1], axis=1)
    return float((mdp.initial * evaluate(mdp, rows[here])).sum())


def some_locals(game, most=64):
    """All deterministic shared policies, or some of them."""
    if np.prod(game.local_available.sum(axis=1).astype(float) ** game.n_global_states) <= most:
        return list(oracle.deterministic_locals(game))
    rng = np.random.default_rng(5)
    return [random_local(rng, game, deterministic=True) for _ in range(most // 2)]


@given(tiny_games(), st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_the_order_holds_in_random_games(game, seed):
    """Against the best of all shared deterministic policies, which are enumerated."""
    k = min(2, game.n)
    policy = random_policy(np.random.default_rng(seed), game, k, deterministic=seed % 2 == 0)
    shared = max(surrogate_value(game, policy, local) for local in some_locals(game))
    full = optimum(full_information_mdp(game, policy))
    assert shared <= full + 1e-8
    assert full <= optimum(joint_mdp(game, k)) + 1e-8
    assert full <= chained_response(game, policy).value + 1e-8
    assert chained_response(game, policy, hide_pending=True).value == pytest.approx(full, abs=1e-7)


def test_the_leak_is_worth_something():
    """Otherwise the order above would be shown by equal numbers only."""
    game = random_game(4, global_states=2, local_states=2, gamma=0.8, seed=11)
    policy = random_policy(np.random.default_rng(2), game, 2)
    hidden, leaking = (chained_response(game, policy, hide_pending=hide).value for hide in (True, False))
    assert leaking > hidden + 1e-4


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_shared_policy_has_its_value_in_every_chain_and_is_its_own_projection(k, form):
    game = small_game("ragged", seed=2, n=4, global_states=2)
    rng = np.random.default_rng(k)
    policy = random_policy(rng, game, k, deterministic=False)
    local = random_local(rng, game, deterministic=True)
    chain = chained_mdp(game, policy, form[0], hide_pending=form[1])
    played = as_chain(chain, local)
    expected = oracle.mean_value(game, oracle.policy_values(game, SubsampledPolicy(k, policy.global_policy, local), k), k)
    assert float((chain.mdp.initial * evaluate(chain.mdp, played)).sum()) == pytest.approx(expected, abs=1e-9)
    weights = chain.weights(played)
    assert weights.sum() == pytest.approx(k / (1.0 - game.gamma), rel=1e-9)
    met = weights.sum(axis=2) > 0
    for rule in ("average", "likeliest"):
        assert chain.project(played, rule)[met] == pytest.approx(local[met], abs=1e-12)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_papers_reward_is_that_of_one_replica(form):
    game = small_game("two states", seed=4, n=7)
    policy = random_policy(np.random.default_rng(3), game, 2)
    local = random_local(np.random.default_rng(4), game, deterministic=True)
    chain = chained_mdp(game, policy, form[0], reward="replica", hide_pending=form[1])
    alone = replace(game, global_reward=np.zeros_like(game.global_reward))
    expected = oracle.mean_value(alone, oracle.policy_values(alone, SubsampledPolicy(2, policy.global_policy, local), 2), 2) / 7
    assert float((chain.mdp.initial * evaluate(chain.mdp, as_chain(chain, local))).sum()) == pytest.approx(expected, abs=1e-10)


def test_a_mixed_shared_policy_has_its_value_among_replicas_only():
    """In Algorithm 9 one draw serves a whole state, which correlates its agents."""
    game = random_game(5, global_states=2, local_states=2, gamma=0.8, seed=6)
    policy = random_policy(np.random.default_rng(5), game, 3, deterministic=False)
    local = random_local(np.random.default_rng(6), game)
    expected = oracle.mean_value(game, oracle.policy_values(game, SubsampledPolicy(3, policy.global_policy, local), 3), 3)
    found = {}
    for form in ("replicas", "states"):
        chain = chained_mdp(game, policy, form)
        found[form] = float((chain.mdp.initial * evaluate(chain.mdp, as_chain(chain, local))).sum())
    assert found["replicas"] == pytest.approx(expected, abs=1e-9)
    assert abs(found["states"] - expected) > 1e-6


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_sizes_are_told_before_anything_is_built(form):
    for seed, k in ((0, 1), (1, 2), (2, 3)):
        game = random_game(5, global_states=2, local_states=2, local_actions=3, gamma=0.8, seed=seed)
        chain = chained_mdp(game, random_policy(np.random.default_rng(seed), game, k), form[0], hide_pending=form[1])
        assert chain.mdp.n_states == chained_size(game, k, form[0], hide_pending=form[1])
        assert chain.steps == (k if form[0] == "replicas" else 3) * (2 if form[1] else 1)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_only_what_can_be_reached_is_built(form):
    """Nobody moves, and all start in one place."""
    game = small_game("plain", n=4)
    still = np.broadcast_to(np.eye(3)[:, None, None], game.local_kernel.shape)
    law = InitialLaw([1.0, 0.0, 0.0], "counts", [4, 0, 0])
    fixed = np.broadcast_to(np.eye(3)[:, None], game.global_kernel.shape)
    game = replace(game, local_kernel=still, global_kernel=fixed, initial=law)
    chain = chained_mdp(game, random_policy(np.random.default_rng(0), game, 2), form[0], hide_pending=form[1])
    assert chain.mdp.n_states < 0.2 * chained_size(game, 2, form[0], hide_pending=form[1])
    assert (chain.world == 0).all()


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_an_episodic_chain_is_the_discounted_one_cut_off(form):
    game = small_game("two states", seed=1, n=4)
    chain = chained_mdp(game, random_policy(np.random.default_rng(0), game, 2), form[0], hide_pending=form[1])
    played = as_chain(chain, random_local(np.random.default_rng(1), game, deterministic=True))
    whole = float((chain.mdp.initial * evaluate(chain.mdp, played)).sum())
    low, high = game.reward_range
    for H in (1, 7):
        cut = chain.episodic(H)
        value = float((cut.initial * evaluate(cut, played)[0]).sum())
        tail = game.gamma**H / (1.0 - game.gamma)
        assert value + tail * low - 1e-9 <= whole <= value + tail * high + 1e-9
        assert cut.horizon == H * chain.steps
    with pytest.raises(InvalidData, match="horizon is 0"):
        chain.episodic(0)


@pytest.mark.parametrize("k", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_the_numbers_of_the_warehouse(k):
    """Value of the alternation's output, full information, and the chain with its leak."""
    game = warehouse()
    local = game.deterministic_local(PI_STAR)
    surrogate = surrogate_mdp(game, k, local)
    best = optimal_policy(surrogate)
    policy = SubsampledPolicy(k, best.choice.reshape(5, -1), local)
    shared = float((surrogate.initial * best.values).sum())
    full = optimum(full_information_mdp(game, policy))
    leaking = chained_response(game, policy)
    expected = {2: (194.453, 198.393, 199.084), 3: (186.729, 190.967, 191.704)}[k]
    assert (shared, full, leaking.value) == pytest.approx(expected, abs=6e-4)
    assert surrogate_value(game, policy, leaking.local_policy) <= full


@pytest.mark.parametrize("seed", range(4))
def test_deciding_states_change_no_value(seed):
    mdp = random_mdp(4, 2, 3, gamma=0.8, seed=seed)
    values = optimal_policy(mdp).values
    there = deciding_states(mdp)
    assert optimal_policy(there).values[:4] == pytest.approx(values, abs=1e-7)
    assert (there.n_states, there.n_pairs) == (4 + mdp.n_pairs, 2 * mdp.n_pairs)
    short = FiniteMDP(mdp.n_actions, mdp.kernel(), mdp.reward, horizon=3)
    assert optimal_policy(deciding_states(short)).values[0, :4] == pytest.approx(optimal_policy(short).values[0], abs=1e-12)
    positive = mdp.with_reward(mdp.reward - mdp.reward.min() + 0.1)
    waiting = deciding_states(positive, idle=True)
    assert optimal_policy(waiting).values[:4] == pytest.approx(optimal_policy(positive).values, abs=1e-7)
    costly = mdp.with_reward(mdp.reward - mdp.reward.max() - 1.0)
    assert (optimal_policy(deciding_states(costly, idle=True)).values[:4] > optimal_policy(costly).values + 1.0).all()


def test_what_cannot_be_built_is_refused():
    game = known("warehouse")
    policy = random_policy(np.random.default_rng(0), game, 7)
    for form, hide, fits in (("replicas", False, 5), ("replicas", True, 4), ("states", False, 3), ("states", True, 4)):
        with pytest.raises(InvalidData, match=rf"k = 7 needs [\d,]+ states(.|\n)*largest k that fits is {fits}\."):
            chained_mdp(game, policy, form, hide_pending=hide)
    with pytest.raises(InvalidData, match=r"largest k that fits is 4\."):
        full_information_mdp(game, random_policy(np.random.default_rng(0), game, 6))
    with pytest.raises(InvalidData, match=r"largest k that fits is 4\."):
        joint_mdp(game, 6)
    with pytest.raises(InvalidData, match="more than 30"):
        joint_mdp(game, 31)
    small = random_policy(np.random.default_rng(0), game, 1)
    with pytest.raises(UnknownName, match="unknown form 'tuples'"):
        chained_mdp(game, small, "tuples")
    with pytest.raises(UnknownName, match="unknown reward 'joint'"):
        chained_mdp(game, small, reward="joint")
    with pytest.raises(InvalidPolicy):
        chained_mdp(small_game(), small)
    chain = chained_mdp(game, small)
    with pytest.raises(UnknownName, match="unknown rule 'best'"):
        chain.project(chain.mdp.uniform_policy(), "best")
    with pytest.raises(InvalidMDP, match="changes with the time step"):
        deciding_states(FiniteMDP([1], [[1.0]], [1.0], horizon=2, terminal=[1.0]))
