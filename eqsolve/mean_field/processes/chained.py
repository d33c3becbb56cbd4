"""The local agents' best response as a chain: one replica at a time (Algorithm 8), one state at a time (Algorithm 9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray
from eqsolve.errors import unknown
from eqsolve.mdp import FiniteMDP, InvalidMDP, Solution, optimal_policy
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import size
from eqsolve.mean_field.policy import SubsampledPolicy
from eqsolve.mean_field.processes.chains import Chain, Rule, unfold
from eqsolve.mean_field.processes.surrogate import checked_k
from eqsolve.mean_field.processes.unfoldings import Replicas, States

Form = Literal["replicas", "states"]
Reward = Literal["team", "replica"]
FORMS: tuple[Form, ...] = ("replicas", "states")
REWARDS: tuple[Reward, ...] = ("team", "replica")
LARGEST = 1_000_000
"""Most states of a chain."""


@dataclass(frozen=True, slots=True, eq=False)
class ChainedResponse:
    """The best policy of a chain, and what is left of it for agents who see their own state and the global one only.

    Parameters
    ----------
    chain : its process. solution : its optimal policy, with a bracket.
    value : optimal value of the chain from the initial law. lower, upper : the true optimum is between them.
    local_policy : (G, Z, A_l) the projection, see ``Chain.project``; its value is another one, in general a lower one.
    """

    chain: Chain
    solution: Solution
    value: float
    lower: float
    upper: float
    local_policy: FloatArray


def chained_response(
    game: GlobalLocalGame,
    policy: SubsampledPolicy,
    form: Form = "replicas",
    *,
    reward: Reward = "team",
    hide_pending: bool = False,
    rule: Rule = "average",
    tolerance: float = 1e-9,
) -> ChainedResponse:
    """Solve a chain exactly and project its policy.

    Parameters
    ----------
    policy, form, reward, hide_pending : as in ``chained_mdp``, which raises what it raises. rule : as in ``Chain.project``.
    tolerance : of the values, as in ``optimal_policy``.
    """
    chain = chained_mdp(game, policy, form, reward=reward, hide_pending=hide_pending)
    found = optimal_policy(chain.mdp, "modified_policy_iteration", tolerance)
    played = chain.mdp.deterministic(found.choice)
    value, lower, upper = (float((chain.mdp.initial * one).sum()) for one in (found.values, found.lower, found.upper))
    return ChainedResponse(chain, found, value, lower, upper, chain.project(played, rule))


def chained_mdp(
    game: GlobalLocalGame,
    policy: SubsampledPolicy,
    form: Form = "replicas",
    *,
    reward: Reward = "team",
    hide_pending: bool = False,
) -> Chain:
    r"""The chained process of k local agents against a fixed global policy.

    A macro step is unfolded into micro steps in which one agent, or all agents of one state, choose one action. In the paper's
    chains the choice moves them at once, and the next state of the global agent is drawn at the first micro step: those who
    choose later see it, and where the others have gone. This leak makes the optimum of ``form="replicas"`` larger than that
    under full information, which is the optimum with ``hide_pending``:

    .. math:: \max_{\pi_l} J_k \le \text{full information} = \text{chain, pending hidden} \le \text{chain}

    Parameters
    ----------
    policy : its global policy and its k; the local policy plays no part.
    form : ``"replicas"``, Algorithm 8: k micro steps, each replica chooses for itself. ``"states"``, Algorithm 9: a tagged agent,
        then one action for all other agents in each local state, Z + 1 micro steps. Agents in a state, the tagged one aside,
        cannot choose apart there: with ``hide_pending`` its optimum is between those of deterministic shared policies and full
        information, and a mixed shared policy may be above it.
    reward : ``"team"``, the reward of the k-surrogate, :math:`r_g + \frac1k \sum_i r_l(s_i, s_g, a_i)`, each agent's part where it
        chooses. ``"replica"``, as the paper has it: :math:`\frac1n r_l` of the first (tagged) replica and nothing else; the other
        agents then act for that one alone.
    hide_pending : choose all actions first, then move everybody, in as many further micro steps without a choice.

    Returns
    -------
    Chain, with the process, and with the projection of its policies on shared ones.

    Raises
    ------
    InvalidPolicy : a policy of another game. UnknownName : an unknown form or reward.
    InvalidData : more than a million states; the largest k that fits is named.

    Notes
    -----
    Where no agent is in a state its one action stands for all, as they do the same. A mixed shared policy has no counterpart in
    Algorithm 9: one action drawn for a whole state would correlate its agents. Corrected against the print of Algorithm 9: the
    cached histogram counts fewer than k - 1 agents until its chain ends.
    """
    policy.check(game)
    for what, given, known in (("form", form, FORMS), ("reward", reward, REWARDS)):
        if given not in known:
            raise unknown(what, given, known)
    k = checked_k(game, policy.k, lambda k: chained_size(game, k, form, hide_pending=hide_pending), LARGEST, "states")
    pi = policy.global_rows(game.n_global_actions)
    world = np.einsum("gha,gax->ghx", pi, game.global_kernel)
    paid = np.einsum("gha,ga->gh", pi, game.global_reward)
    kind = Replicas if form == "replicas" else States
    return unfold(game, kind(game, k, world, paid, reward == "team", hide_pending), f"{k}-chain of {form}")


def chained_size(game: GlobalLocalGame, k: int, form: Form = "replicas", *, hide_pending: bool = False) -> int:
    """The states of a chain if all can be reached.

    Examples
    --------
    >>> from eqsolve.mean_field.game import GlobalLocalGame
    >>> stay = np.broadcast_to(np.eye(5)[:, None, None], (5, 5, 3, 5))
    >>> game = GlobalLocalGame(np.ones((5, 5, 5)) / 5, stay, np.zeros((5, 5)), np.zeros((5, 5, 3)), n=9, gamma=0.9)
    >>> chained_size(game, 3), chained_size(game, 3, hide_pending=True), chained_size(game, 3, "states")
    (6875, 62500, 272250)
    """
    G, Z = game.n_global_states, game.n_local_states
    if form == "replicas":
        if not hide_pending:
            return int(G * Z**k + (k - 1) * G * G * Z**k)
        cells = int(game.local_available.sum())
        chosen = sum(G * cells**j * Z ** (k - j) for j in range(k))
        return int(chosen + G * cells**k + sum(G * G * Z**i * cells ** (k - i) for i in range(1, k)))
    return _states_size(game, k - 1, hide_pending)


def _states_size(game: GlobalLocalGame, others: int, hide_pending: bool) -> int:
    G, Z = game.n_global_states, game.n_local_states
    choices = [int(number) for number in game.local_available.sum(axis=1)]
    masses = range(others + 1)
    total = G * Z * size(others, Z)
    if not hide_pending:
        for done in range(Z):
            seen = [size(m, done) * size(m, Z) if done else int(m == 0) for m in masses]
            total += G * G * Z * Z * sum(seen[m] * size(others - m, Z - done) for m in masses)
        return total
    tagged = sum(choices)
    for done in range(Z):
        total += G * tagged * _ways([*choices[:done], *[1] * (Z - done)], others)[others]
    total += G * tagged * _ways(choices, others)[others]
    for done in range(Z):
        left = _ways(choices[done:], others)
        total += G * G * Z * sum((size(m, Z) if done else int(m == 0)) * left[others - m] for m in masses)
    return total


def _ways(choices: list[int], agents: int) -> list[int]:
    """In how many ways m = 0, ..., agents can be in states whose agents, where there are some, choose one of so many actions."""
    ways = [1] + [0] * agents
    for actions in choices:
        ways = [ways[m] + actions * sum(ways[:m]) for m in range(agents + 1)]
    return ways


def deciding_states(mdp: FiniteMDP, *, idle: bool = False) -> FiniteMDP:
    r"""The same process with rewards of states only, by a deciding state before every choice (Algorithm 7).

    State s becomes the deciding state (s, none), which pays nothing, and each of its pairs a committed state (s, a), which pays
    r(s, a) and leads on as the pair does. Two micro steps make one step; the discount of a micro step is
    :math:`\sqrt\gamma`, and rewards are divided by it, so that values from deciding states are unchanged. Deciding
    states come first, in their order, then the committed ones, in the order of the pairs.

    Parameters
    ----------
    idle : also let a deciding state wait a micro step for nothing, as in the paper. This is another process: where rewards are
        negative, waiting is better than any policy of the given one.

    Raises
    ------
    InvalidMDP : kernels, rewards or terminal values that depend on the time step.

    Examples
    --------
    >>> two = FiniteMDP([2, 1], [[1, 0], [0, 1], [0, 1]], [5.0, 10.0, -1.0], gamma=0.9)
    >>> optimal_policy(deciding_states(two)).values[:2].round(6).tolist()
    [50.0, -10.0]
    >>> optimal_policy(deciding_states(two, idle=True)).values[:2].round(6).tolist()
    [50.0, 0.0]
    """
    if len(mdp.transition) > 1 or mdp.reward.ndim == 2 or mdp.terminal.any():
        raise InvalidMDP(
            "the process changes with the time step", "Deciding states are for kernels and rewards that stay the same."
        )
    S, K = mdp.n_states, mdp.n_pairs
    waits = S if idle else 0
    counts = np.concatenate((mdp.n_actions + int(idle), np.ones(K, dtype=np.int64)))
    own = np.arange(K) + (mdp.owner if idle else 0)
    waiting = mdp.first[1:] + np.arange(S) if idle else np.zeros(0, dtype=np.int64)
    kernel = sparse.csr_array(mdp.kernel()).tocoo()
    row = np.concatenate((own, waiting, kernel.row + K + waits))
    column = np.concatenate((np.arange(K) + S, np.arange(waits), kernel.col))
    chances = np.concatenate((np.ones(K + waits), kernel.data))
    reward = np.zeros(2 * K + waits)
    reward[K + waits :] = mdp.reward / np.sqrt(mdp.gamma)
    return FiniteMDP(
        counts,
        sparse.coo_array((chances, (row, column)), shape=(2 * K + waits, S + K)).tocsr(),
        reward,
        float(np.sqrt(mdp.gamma)),
        horizon=None if mdp.horizon is None else 2 * mdp.horizon,
        initial=np.concatenate((mdp.initial, np.zeros(K))),
        name=f"{mdp.name} with deciding states",
    )
