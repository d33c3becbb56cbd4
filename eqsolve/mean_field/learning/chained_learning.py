"""L-LEARN (Algorithm 2): a local policy learned from episodes of a chain, as the paper has it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log, sqrt

from eqsolve.arrays import FloatArray
from eqsolve.backends import Limits
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.learning.ucfh import UCFH, UCFHAnswer, learn_episodic
from eqsolve.mean_field.policy import SubsampledPolicy
from eqsolve.mean_field.processes.chained import Form, Reward, chained_mdp
from eqsolve.mean_field.processes.chains import Chain, Rule


@dataclass(frozen=True, slots=True, eq=False)
class LearnedResponse:
    """What UCFH learned on a chain.

    Parameters
    ----------
    local_policy : (G, Z, A_l) the projection of the policy of the episodes. chain : the process without end.
    horizon : macro steps of an episode. answer : of UCFH on ``chain.episodic(horizon)``.
    """

    local_policy: FloatArray
    chain: Chain
    horizon: int
    answer: UCFHAnswer


def learn_chained(
    game: GlobalLocalGame,
    policy: SubsampledPolicy,
    method: UCFH | None = None,
    form: Form = "replicas",
    *,
    reward: Reward = "team",
    hide_pending: bool = False,
    horizon: int | None = None,
    rule: Rule = "likeliest",
    seed: int = 0,
    limits: Limits | None = None,
) -> LearnedResponse:
    """UCFH on the episodic chain of local agents against a fixed global policy, projected on shared local policies.

    For toys: the theory asks for far more episodes than anybody can play already at k = 2, and the exact optimum of the chain is
    at hand (``chained_response``). UCFH stops at its cap of episodes, and the answer says so.

    Parameters
    ----------
    policy, form, reward, hide_pending : as in ``chained_mdp``, which raises what it raises. rule : as in ``Chain.project``.
    method : UCFH and its accuracy, for the total of an episode; its defaults when left out.
    horizon : macro steps of an episode; ``effective_horizon`` when left out.
    """
    chain = chained_mdp(game, policy, form, reward=reward, hide_pending=hide_pending)
    H = effective_horizon(game, policy.k) if horizon is None else horizon
    answer = learn_episodic(chain.episodic(H), method, seed=seed, limits=limits)
    return LearnedResponse(chain.project(answer.policy, rule), chain, H, answer)


def effective_horizon(game: GlobalLocalGame, k: int) -> int:
    r"""H of Algorithm 2, :math:`\frac1{1 - \gamma} \ln \frac{\tilde r \sqrt k}{1 - \gamma}`, and at least 1.

    What comes after H steps is at most :math:`\gamma^H \tilde r / (1 - \gamma) \le 1 / \sqrt k`. (Lemma C.1 has one step more.)
    """
    most = game.reward_bound * sqrt(k) / (1.0 - game.gamma)
    return max(1, ceil(log(most) / (1.0 - game.gamma))) if most > 1.0 else 1
