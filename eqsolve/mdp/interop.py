"""Processes from Gymnasium environments with known kernels and from QuantEcon's DiscreteDP, and back."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import whole_number
from eqsolve.errors import EqsolveError
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.mdp.rectangular import real_array


class LibraryMissing(EqsolveError, ImportError):
    """A library that is only needed to exchange models with it, and is not installed."""


def from_gymnasium(env: Any, gamma: float | None = None, *, horizon: int | None = None, name: str | None = None) -> FiniteMDP:
    """A process from a Gymnasium environment that tells its kernel: FrozenLake, CliffWalking, Taxi and their like.

    Parameters
    ----------
    env : an environment, wrapped or not, or its id such as ``"FrozenLake-v1"``. ``env.unwrapped.P[s][a]`` lists
        ``(probability, next state, reward, terminated)``.
    gamma, horizon, name : as in ``FiniteMDP``. The step limit of a wrapper is not part of the kernel: give it as ``horizon``.

    Returns
    -------
    FiniteMDP with a sparse kernel. Where some transition ends the episode, one more state ``"end"``, absorbing with reward 0, is
    where it leads. Next states listed twice are added up; rewards are averaged. The initial distribution is the environment's
    ``initial_state_distrib``, or its only start where it has none but is deterministic.

    Raises
    ------
    LibraryMissing : an id is given and gymnasium is not installed.
    InvalidMDP : the environment has no kernel, or the kernel is none.

    Examples
    --------
    >>> class Coin:
    ...     P = {0: {0: [(0.5, 0, 0.0, False), (0.5, 0, 1.0, True)]}}
    ...     initial_state_distrib = [1.0]
    >>> from_gymnasium(Coin(), 0.9)
    <FiniteMDP 'Coin': 2 states, 2 state-action pairs, discount 0.9, sparse>
    """
    if isinstance(env, str):
        env = _library("gymnasium").make(env)
    core = getattr(env, "unwrapped", env)
    table = getattr(core, "P", None)
    if table is None:
        raise InvalidMDP(f"{type(core).__name__} does not tell its kernel", "It needs a table P[s][a], as the toy-text ones have.")
    S = len(table)
    rows: list[int] = []
    columns: list[int] = []
    data: list[float] = []
    reward: list[float] = []
    counts: list[int] = []
    ends = False
    try:
        for s in range(S):
            counts.append(len(table[s]))
            for a in range(counts[-1]):
                k, earned = len(reward), 0.0
                for probability, to, payoff, terminated in table[s][a]:
                    rows.append(k)
                    columns.append(S if terminated else whole_number(f"next state of P[{s}][{a}]", to, 0, InvalidMDP, most=S - 1))
                    data.append(float(probability))
                    earned += float(probability) * float(payoff)
                    ends = ends or bool(terminated)
                reward.append(earned)
    except (KeyError, IndexError, TypeError) as cause:
        raise InvalidMDP(f"P is not a table of (probability, next state, reward, terminated): {cause!r}") from cause
    states = [str(s) for s in range(S)]
    start = _start(core, S)
    if ends:
        rows, columns, data = [*rows, len(reward)], [*columns, S], [*data, 1.0]
        reward, counts, states = [*reward, 0.0], [*counts, 1], [*states, "end"]
        start = np.append(start, 0.0)
    kernel = sparse.csr_array((data, (rows, columns)), shape=(len(reward), len(counts)))
    called = name or getattr(getattr(core, "spec", None), "id", None) or type(core).__name__
    return FiniteMDP(counts, kernel, reward, gamma, horizon=horizon, initial=start, name=called, states=states)


def _start(core: Any, S: int) -> Any:
    given = getattr(core, "initial_state_distrib", None)
    if given is not None:
        return real_array("initial_state_distrib", given)
    first = getattr(core, "start_state_index", None)
    if first is None:
        raise InvalidMDP(
            f"{type(core).__name__} does not tell where it starts", "It needs initial_state_distrib or start_state_index."
        )
    return np.eye(1, S, whole_number("start_state_index", first, 0, InvalidMDP, most=S - 1))[0]


def from_quantecon(ddp: Any, *, horizon: int | None = None, initial: npt.ArrayLike | None = None) -> FiniteMDP:
    """A process from a QuantEcon ``DiscreteDP``, in product form or in the form of state-action pairs.

    Parameters
    ----------
    ddp : product form: R (S, A) with -inf where an action is not available, Q (S, A, S); pairs: R (L,), Q (L, S) dense or sparse,
        ``s_indices`` and ``a_indices`` (L,).
    horizon, initial : as in ``FiniteMDP``; beta = 1 needs a horizon.

    Returns
    -------
    FiniteMDP whose actions are labelled by their QuantEcon numbers.

    Raises
    ------
    InvalidMDP : beta is 1 without a horizon, a state has no action, the kernel is none.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> ddp = SimpleNamespace(R=[[1.0, -np.inf]], Q=[[[1.0], [1.0]]], beta=0.5, s_indices=None, a_indices=None)
    >>> from_quantecon(ddp)
    <FiniteMDP 'DiscreteDP': 1 states, 1 state-action pairs, discount 0.5, dense>
    """
    if any(not hasattr(ddp, part) for part in ("R", "Q", "beta")):
        raise InvalidMDP(f"{type(ddp).__name__} is no DiscreteDP", "It has R, Q and beta.")
    if ddp.beta == 1 and horizon is None:
        raise InvalidMDP("beta is 1: without discounting there is no value", "Give horizon=H.")
    more: dict[str, Any] = {"horizon": horizon, "initial": initial, "name": "DiscreteDP"}
    R = real_array("R", ddp.R)
    if getattr(ddp, "s_indices", None) is None:
        labels = [str(a) for a in range(R.shape[-1])]
        return FiniteMDP.from_arrays(ddp.Q, R, float(ddp.beta), available=-np.inf != R, actions=labels, **more)
    s, a = np.asarray(ddp.s_indices, dtype=np.int64), np.asarray(ddp.a_indices, dtype=np.int64)
    Q = sparse.csr_array(ddp.Q) if sparse.issparse(ddp.Q) else np.asarray(ddp.Q)
    keep = np.lexsort((a, s))
    keep = keep[R[keep] != -np.inf]
    counts = np.bincount(s[keep], minlength=Q.shape[1])
    labels = [str(one) for one in a[keep].tolist()]
    return FiniteMDP(counts, Q[keep], R[keep], float(ddp.beta), actions=labels, **more)


def to_quantecon(mdp: FiniteMDP) -> Any:
    """A QuantEcon ``DiscreteDP`` in the form of state-action pairs, with a sparse or dense kernel as the process has.

    Raises
    ------
    LibraryMissing : quantecon is not installed.
    InvalidMDP : a process whose kernel or rewards change from step to step, which DiscreteDP does not have.
    """
    if len(mdp.transition) > 1 or mdp.reward.ndim == 2 or mdp.terminal.any():
        raise InvalidMDP("kernel, rewards or values after the last step depend on the step; DiscreteDP is the same at every step")
    kernel = mdp.kernel()
    action = np.arange(mdp.n_pairs) - mdp.first[mdp.owner]
    Q = sparse.csr_matrix(kernel) if mdp.is_sparse else np.array(kernel)
    return _library("quantecon").markov.DiscreteDP(mdp.reward.copy(), Q, mdp.gamma, mdp.owner, action)


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as cause:
        raise LibraryMissing(f"{name} is not installed", f"pip install 'eqsolve[{name}]'") from cause
