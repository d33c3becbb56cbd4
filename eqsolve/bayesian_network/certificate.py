"""How far a joint policy is from a Nash and from a best one, computed from the game alone.

Nothing here is shared with the methods: the probabilities come from ``frontier`` and ``deviation``, the best joint actions from
``best_joint``, the bounds from the certificate of decision processes.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order

from eqsolve.arrays import BoolArray, FloatArray
from eqsolve.bayesian_network.best_joint import improved, largest_table, optimal_values
from eqsolve.bayesian_network.deviation import Deviation, faced, joint_probabilities, roundings, value_error
from eqsolve.bayesian_network.factors import LARGEST, in_words
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.policy import BayesianNetworkPolicy, check_plays
from eqsolve.certificates import GapCertificate, Witness
from eqsolve.certificates.gap import EXACT_WIDTH, Concept
from eqsolve.errors import InvalidGame
from eqsolve.mdp import FiniteMDP, certificate
from eqsolve.mdp.enclosure import expectation

JOINT = 1_000_000
"""Transition probabilities over joint actions up to which a game of factors is judged over these."""
SHOWN = 8


def nash_gap(game: CooperativeMarkovGame, policy: BayesianNetworkPolicy) -> GapCertificate:
    r"""The most that one agent gains by a table of its own, the others keeping to theirs.

    .. math:: \max_i \Big( \max_{\bar\pi^i} V_{\bar\pi^i, \pi^{-i}}(\mu) - V_\pi(\mu) \Big)

    A deviation of agent i is a best policy of ``augmented_mdp(game, policy, i)``: it sees the state and the actions of its
    parents. Values there are enclosed by ``eqsolve.mdp.optimality_gap``, and the rounding in the making of that process is added.

    Returns
    -------
    GapCertificate "NE" in reward units, "exact" when its width is rounding and "bracket" otherwise. The witness is the agent that
    gains most, with the state, the parents' actions and the own action of the largest one-step advantage; its gain is that of the
    whole best deviation.

    Raises
    ------
    InvalidPolicy : of another game.
    InvalidGame : a table larger than memory, of which the size is told, and what to do instead.

    Notes
    -----
    Source: Definition 1 of the Bayesian-network paper, which says "product policy" and holds for any network.

    Examples
    --------
    >>> from eqsolve.bayesian_network import BayesianNetwork, penalty_game
    >>> game = penalty_game()
    >>> uniform = BayesianNetworkPolicy.uniform(BayesianNetwork.chain(2), 1, game.n_actions)
    >>> print(nash_gap(game, uniform))
    Nash gap 7.111, exact; worst: agent 1, after agent 0 plays left: play left
    """
    gaps = agent_gaps(game, policy)
    worst = max(gaps, key=lambda one: (one.lower, one.upper))
    return _gap("NE", worst.lower, max(one.upper for one in gaps), worst.witness)


def agent_gaps(game: CooperativeMarkovGame, policy: BayesianNetworkPolicy) -> tuple[GapCertificate, ...]:
    """What each agent gains at most by a table of its own; see ``nash_gap``."""
    check_plays(policy, game.n_states, game.n_actions)
    return tuple(_agent_gap(game, policy, i) for i in range(game.n_agents))


def optimality_gap(game: CooperativeMarkovGame, policy: BayesianNetworkPolicy) -> GapCertificate:
    r"""How much better the best joint policy is.

    .. math:: \max_{\pi^*} V_{\pi^*}(\mu) - V_\pi(\mu)

    Over joint actions, ``eqsolve.mdp.optimality_gap`` judges. Games of factors with too many of them go through ``optimal_values``:
    policy iteration whose greedy step maximises the agents out one by one, and true bounds from single sweeps.

    Returns
    -------
    GapCertificate "optimality" in reward units, "exact" when its width is rounding and "bracket" otherwise. The witness is the
    state and joint action of the largest one-step advantage; its gain is that of the best policy.

    Raises
    ------
    InvalidPolicy : of another game. InvalidGame : neither joint actions nor such tables fit in memory; the sizes are told.

    Notes
    -----
    Source: Definition 2 of the Bayesian-network paper.

    Examples
    --------
    >>> from eqsolve.bayesian_network import BayesianNetwork, penalty_game
    >>> game = penalty_game()
    >>> uniform = BayesianNetworkPolicy.uniform(BayesianNetwork.product(2), 1, game.n_actions)
    >>> print(optimality_gap(game, uniform))
    optimality gap 9.778, exact; worst: everybody: play (left, left)
    """
    check_plays(policy, game.n_states, game.n_actions)
    if _over_joint_actions(game):
        mdp = game.joint_mdp()
        found = certificate.optimality_gap(mdp, joint_probabilities(game, policy).reshape(-1))
        error = value_error(game, 4 * len(game.reward), roundings(game) + 4 * len(game.moves) + 4)
        lower, upper = found.lower - error, found.upper + error
    else:
        best, (low, high) = optimal_value(game), value_interval(game, policy)
        lower, upper = float(np.nextafter(best[0] - high, -np.inf)), float(np.nextafter(best[1] - low, np.inf))
    witness = _joint_witness(game, policy, lower) if lower > 0 else None
    return _gap("optimality", lower, upper, witness)


def optimal_value(game: CooperativeMarkovGame) -> tuple[float, float]:
    """True bounds of the value of the best joint policy from the initial distribution; raises as ``optimality_gap``.

    Examples
    --------
    >>> from eqsolve.bayesian_network import coordination_line
    >>> low, high = optimal_value(coordination_line(50, 5, noise=0.0))  # 5^50 joint actions
    >>> low <= 49.0 <= high < low + 1e-9
    True
    """
    if not _over_joint_actions(game):
        return expectation(game.initial, *optimal_values(game))
    found = certificate.optimal_bracket(game.joint_mdp())
    error = value_error(game, 2 * len(game.reward), 2 * len(game.moves)) if game.kernel is None else 0.0
    return found.value_lower - error, found.value_upper + error


def policy_value(game: CooperativeMarkovGame, policy: BayesianNetworkPolicy) -> float:
    """V(mu) of a policy, in reward units: the middle of ``value_interval``, which raises the same."""
    low, high = value_interval(game, policy)
    return 0.5 * low + 0.5 * high


def value_interval(game: CooperativeMarkovGame, policy: BayesianNetworkPolicy) -> tuple[float, float]:
    """True bounds of V(mu) of a policy, rounding included.

    Raises
    ------
    InvalidPolicy, InvalidGame : see ``nash_gap``.
    """
    chain = faced(game, policy, None)
    found = certificate.value_bracket(chain.process(game), chain.own(policy))
    return found.value_lower - chain.error, found.value_upper + chain.error


def _gap(concept: Concept, lower: float, upper: float, witness: Witness | None) -> GapCertificate:
    low, high = max(lower, 0.0), max(upper, 0.0)
    exact = high - low <= EXACT_WIDTH * (1.0 + high)
    return GapCertificate(concept, low, high, "exact" if exact else "bracket", witness)


def _agent_gap(game: CooperativeMarkovGame, policy: BayesianNetworkPolicy, i: int) -> GapCertificate:
    found = faced(game, policy, i)
    mdp, own = found.process(game), found.own(policy)
    gap = certificate.optimality_gap(mdp, own)
    lower, upper = gap.lower - 2.0 * found.error, gap.upper + 2.0 * found.error
    witness = _witness(game, policy, found, mdp, own, lower) if lower > 0 else None
    return _gap("NE", lower, upper, witness)


def _witness(
    game: CooperativeMarkovGame, policy: BayesianNetworkPolicy, found: Deviation, mdp: FiniteMDP, own: FloatArray, gain: float
) -> Witness:
    """Of a deviation of one agent: where a single change of action gains most, and to what."""
    i = found.agent
    assert i is not None
    lead = _advantages(mdp, own)
    lead[: game.n_states] = -np.inf
    k = int(np.argmax(lead)) - game.n_states
    s, *parents, action = (int(one) for one in np.unravel_index(k, found.reward.shape))
    acts = zip(policy.network.parents[i], parents, strict=True)
    seen = ", ".join(f"{game.agent_label(j)} plays {game.action_label(j, a)}" for j, a in acts)
    place = [f"state {game.state_label(s)}"] if game.n_states > 1 else []
    place += [f"after {seen}"] if seen else []
    row = policy.tables[i][(s, *parents)]
    instead = f", not {game.action_label(i, int(row.argmax()))}" if np.count_nonzero(row) == 1 else ""
    move = f"play {game.action_label(i, action)}{instead}"
    return Witness(game.agent_label(i), move, gain, " ".join(place), None, _state(game, s))


def _joint_witness(game: CooperativeMarkovGame, policy: BayesianNetworkPolicy, gain: float) -> Witness:
    """Of a better joint policy: the state that can be reached where a single joint action gains most, and that action."""
    chain = faced(game, policy, None)
    bracket = certificate.value_bracket(chain.process(game), chain.own(policy))
    v = np.asarray(0.5 * bracket.lower + 0.5 * bracket.upper)
    if _over_joint_actions(game):
        mdp = game.joint_mdp()
        q = (mdp.reward + mdp.gamma * np.asarray(mdp.kernel() @ v)).reshape(game.n_states, -1)
        best, actions = q.max(axis=1), np.stack(np.unravel_index(q.argmax(axis=1), game.n_actions), axis=1)
        graph = _graph(mdp)
    else:
        best, actions = improved(game, v)
        graph = sparse.csr_array(sum(one.table.reshape(len(v), -1, len(v)).max(axis=1) for one in game.moves))
    s = int(np.argmax(np.where(_reached(graph, game.initial, game.gamma), best - v, -np.inf)))
    labels = [game.action_label(i, int(a)) for i, a in enumerate(actions[s][:SHOWN])]
    more = f" and {game.n_agents - SHOWN} more" if game.n_agents > SHOWN else ""
    place = f"state {game.state_label(s)}" if game.n_states > 1 else ""
    return Witness("everybody", f"play ({', '.join(labels)}{more})", gain, place, None, _state(game, s))


def _state(game: CooperativeMarkovGame, s: int) -> str | None:
    """Its label, where there is more than one."""
    return game.state_label(s) if game.n_states > 1 else None


def _advantages(mdp: FiniteMDP, policy: FloatArray) -> FloatArray:
    """(K,) what one step of another action gains, minus infinity where the state cannot be reached."""
    bracket = certificate.value_bracket(mdp, policy)
    v = 0.5 * bracket.lower + 0.5 * bracket.upper
    lead = mdp.reward + mdp.gamma * np.asarray(mdp.kernel() @ v) - v[mdp.owner]
    return np.asarray(np.where(_reached(_graph(mdp), mdp.initial, mdp.gamma)[mdp.owner], lead, -np.inf))


def _graph(mdp: FiniteMDP) -> sparse.csr_array:
    """(S, S) larger than 0 where some action leads from one state to another."""
    kernel = sparse.coo_array(mdp.kernel())
    return sparse.csr_array((np.ones(kernel.nnz), (mdp.owner[kernel.row], kernel.col)), shape=(mdp.n_states, mdp.n_states))


def _reached(graph: sparse.csr_array, initial: FloatArray, gamma: float) -> BoolArray:
    """(S,) the states that some policy meets at a step that counts."""
    mask = np.zeros(len(initial) + 1, dtype=bool)
    mask[:-1] = initial > 0
    if gamma > 0.0:
        source = sparse.csr_array(mask[None, :-1].astype(np.float64))
        whole = sparse.block_array([[graph, None], [source, sparse.csr_array((1, 1))]], format="csr")
        mask[breadth_first_order(whole, len(initial), return_predecessors=False)] = True
    return np.asarray(mask[:-1])


def _over_joint_actions(game: CooperativeMarkovGame) -> bool:
    """Whether to judge over joint actions rather than by elimination.

    Raises
    ------
    InvalidGame : neither fits in memory.
    """
    joint = game.n_states**2 * game.n_joint
    if game.kernel is not None or joint <= JOINT:
        return True
    numbers = largest_table(game)
    if numbers > LARGEST:
        raise InvalidGame(
            f"the joint space of {game.n_agents} agents makes {in_words(joint)} transition probabilities, and maximising the "
            f"agents out one by one a table of {in_words(numbers)} numbers",
            f"At most {LARGEST:,} are held. Give rewards and transitions as factors over fewer agents, or ask for the Nash gap.",
        )
    return False
