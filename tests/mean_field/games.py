"""Small mean-field games of every shape, and random policies for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from hypothesis import strategies as st

from eqsolve.mean_field import GlobalLocalGame, StochasticReward, SubsampledPolicy
from eqsolve.mean_field.generators import demand_response, federated, random_game, warehouse
from eqsolve.mean_field.histograms import size

PI_STAR = ((0, 2, 1, 1, 1), (1, 0, 2, 1, 1), (1, 1, 0, 2, 1), (1, 1, 1, 0, 2), (2, 1, 1, 1, 0))
"""[s_g][s]: the fixed point of exact alternation on the warehouse, as the notes give it."""

SHAPES = {
    "plain": {},
    "one global state": {"global_states": 1},
    "two states": {"local_states": 2, "global_actions": 3},
    "one local state": {"local_states": 1, "local_actions": 3},
    "many local actions": {"local_actions": 3, "global_states": 2},
    "ragged": {"local_actions": 3, "global_actions": 3, "ragged": True},
    "zeros": {"zeros": 0.5},
    "nearly certain": {"concentration": 0.1},
    "uncoupled": {"coupling": 0.0},
    "two types": {"local_states": 4, "types": 2, "global_states": 2},
    "ragged types, zeros": {"local_states": 4, "types": 2, "ragged": True, "zeros": 0.4, "local_actions": 3, "global_states": 2},
}


def small_game(shape: str = "plain", seed: int = 0, n: int = 6, **more) -> GlobalLocalGame:
    """The random game of a shape."""
    return random_game(n, seed=seed, **{"gamma": 0.8, **SHAPES[shape], **more})


@cache
def known(name: str) -> GlobalLocalGame:
    """A generator's game with few agents, made once."""
    return {"warehouse": warehouse, "federated": federated, "demand_response": demand_response}[name](30)


def shifted(game: GlobalLocalGame, by: float) -> GlobalLocalGame:
    """The game with a constant added to the rewards of the global agent."""
    return replace(game, global_reward=game.global_reward + by)


def noisy(game: GlobalLocalGame, spread: float = 0.5) -> GlobalLocalGame:
    """The game with rewards that are random around the same means."""
    return replace(
        game,
        global_noise=StochasticReward.around(game.global_reward, spread),
        local_noise=StochasticReward.around(game.local_reward, spread),
    )


def random_local(rng: np.random.Generator, game: GlobalLocalGame, *, deterministic: bool = False) -> np.ndarray:
    """(G, Z, A_l) over the available actions."""
    weight = np.where(game.local_available, rng.random((game.n_global_states, *game.local_available.shape)) + 1e-3, 0.0)
    if deterministic:
        return game.deterministic_local(weight.argmax(axis=-1))
    return weight / weight.sum(axis=-1, keepdims=True)


def random_policy(
    rng: np.random.Generator, game: GlobalLocalGame, k: int, *, deterministic: bool = True, local_deterministic: bool = False
) -> SubsampledPolicy:
    """Any policy of the game that sees k agents."""
    G, N = game.n_global_states, size(k, game.n_local_states)
    weight = np.where(game.global_available[:, None, :], rng.random((G, N, game.n_global_actions)) + 1e-3, 0.0)
    chosen = weight.argmax(axis=-1) if deterministic else weight / weight.sum(axis=-1, keepdims=True)
    return SubsampledPolicy(k, chosen, random_local(rng, game, deterministic=local_deterministic))


@st.composite
def tiny_games(draw, most_states: int = 3, most_agents: int = 4):
    """Random games small enough for enumeration."""
    return random_game(
        draw(st.integers(1, most_agents)),
        global_states=draw(st.integers(1, 2)),
        local_states=draw(st.integers(1, most_states)),
        global_actions=draw(st.integers(1, 2)),
        local_actions=draw(st.integers(1, 2)),
        coupling=draw(st.sampled_from([0.0, 0.5, 1.0])),
        zeros=draw(st.sampled_from([0.0, 0.5])),
        ragged=draw(st.booleans()),
        gamma=draw(st.sampled_from([0.3, 0.8])),
        seed=draw(st.integers(0, 10_000)),
    )


@dataclass(frozen=True)
class Case:
    """A game, a number of agents that are seen, and a local policy."""

    name: str
    game: GlobalLocalGame
    k: int
    local: np.ndarray


@cache
def cases() -> tuple[Case, ...]:
    """One of every shape, k from 1 to 3, stochastic and deterministic local policies in turn."""
    found = []
    for i, shape in enumerate(SHAPES):
        game = small_game(shape, seed=i)
        local = random_local(np.random.default_rng(i), game, deterministic=i % 3 == 2)
        found.append(Case(shape, game, 1 + i % 3, local))
    return tuple(found)
