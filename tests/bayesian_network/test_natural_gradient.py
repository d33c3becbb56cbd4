"""The natural gradient: its direction against the Fisher matrix written out, visits of rows, lengths of steps."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.bayesian_network.natural_gradient import FURTHEST, NaturalGradient, row_visits
from eqsolve.driver import Run
from tests.bayesian_network import oracle
from tests.bayesian_network.games import random_logits
from tests.bayesian_network.methods import COLLIDER, ByHand, game, network_of

CASES = [("penalty", "chain"), ("dense", "dense"), ("factored", COLLIDER), ("ragged", "chain"), ("unreachable", "product")]


def started(name, network, seed, **options):
    one = game(name)
    method, run, rng = NaturalGradient(network, lam=0.2, **options), Run(), np.random.default_rng(seed)
    net = network_of(one, network)
    logits = np.concatenate([part.reshape(-1) for part in random_logits(rng, net, one.n_states, one.n_actions)])
    return one, net, method, run, method.objective(one, run), method.begin(one, logits, run)


def scores(one, net, probability, layout):
    """(S, A, D) the gradients of log pi(a | s) by the logits."""
    tables = layout.tables(probability)
    found = np.zeros((one.n_states, one.n_joint, layout.size))
    for s in range(one.n_states):
        for k, a in enumerate(oracle.joint_actions(one)):
            parts = [np.zeros(table.shape) for table in tables]
            for i, part in enumerate(parts):
                row = (s, *(a[j] for j in net.parents[i]))
                part[row] = -tables[i][row]
                part[(*row, a[i])] += 1.0
            found[s, k] = layout.flatten(parts)
    return found


@pytest.mark.parametrize(("name", "network"), CASES)
@pytest.mark.parametrize("seed", range(3))
def test_the_direction_is_the_gradient_by_the_fisher_matrix(name, network, seed):
    """A short first step is taken as it is: the step over its length is the direction."""
    one, net, method, run, objective, state = started(name, network, seed, step_size=1e-5)
    layout, probability = objective.evaluator.layout, np.exp(state.logits)
    pi = oracle.probabilities(one, objective.policy(probability))
    weight = oracle.visits(one, pi)[:, None] * pi
    found = scores(one, net, probability, layout).reshape(-1, layout.size)
    fisher = (found * weight.reshape(-1, 1)).T @ found
    gradient = ByHand(one, net, 0.2).gradient(state.logits)
    following = method.advance(objective, state, run)
    assert following.moved
    moved = layout.log_softmax(following.logits) - state.logits
    direction = (moved - layout.to_entries(layout.row_sums(moved * probability))) / following.step
    met = np.diagonal(fisher) > 0
    assert met.sum() == np.sum(layout.to_entries(layout.row_sizes > 1) & layout.to_entries(row_visits(objective, probability) > 0))
    assert met.all() == (name not in ("unreachable", "ragged"))  # agents with one action have no score
    assert (fisher @ direction)[met] == pytest.approx(gradient[met], abs=2e-4 * np.abs(gradient).max())
    assert following.objective > state.objective
    # On the diagonal, visits of the row times pi (1 - pi).
    rows = row_visits(objective, probability)
    diagonal = np.divide(np.diagonal(fisher), probability * (1 - probability), out=np.zeros(layout.size), where=probability < 1)
    played = probability < 1
    assert layout.to_entries(rows)[played] == pytest.approx(diagonal[played], abs=1e-9)


def test_no_logit_moves_further_than_it_may():
    _, _, method, run, objective, state = started("dense", "chain", 1, step_size=1e6)
    following = method.advance(objective, state, run)
    assert following.moved
    assert np.ptp(objective.evaluator.layout.tables(following.logits - state.logits)[0], axis=-1).max() <= 2 * FURTHEST + 1e-12
    assert following.objective > state.objective


def test_every_step_begins_with_twice_the_last_one():
    _, _, method, run, objective, state = started("dense", "chain", 2, step_size=1e-4)
    steps = []
    for _ in range(4):
        state = method.advance(objective, state, run)
        steps.append(state.step)
    assert steps == [1e-4 * 2**k for k in range(4)]
