"""Processes written down with the same actions everywhere, brought to state-action pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from eqsolve.arrays import BoolArray, FloatArray, IntArray, check_shape, frozen
from eqsolve.mdp.transition import InvalidMDP


def pairs_of_arrays(
    transition: Any, reward: Any, available: Any, horizon: int | None
) -> tuple[IntArray, Any, FloatArray, BoolArray]:
    """Counts (S,), kernel or kernels (K, S), rewards (K,) or (H, K), and the mask (S, A)."""
    P = real_array("transition", transition)
    steps = P.ndim == 4 and horizon is not None
    check_shape("transition", P, (horizon, None, None, None) if steps else (None, None, None), InvalidMDP)
    S, A = P.shape[-3], P.shape[-2]
    check_shape("transition", P, (*P.shape[:-1], S), InvalidMDP)
    mask = availability(available, (S, A))
    kernels = [frozen(step[mask]) for step in P] if steps else [frozen(P[mask])]
    rewards, by_next_state = _masked_reward(real_array("reward", reward), mask, horizon)
    if by_next_state:
        rewards = _expectation(rewards, kernels)
    return mask.sum(axis=1), kernels if steps else kernels[0], rewards, mask


def pairs_of_matrices(transition: Sequence[Any], reward: Any, available: Any) -> tuple[IntArray, Any, FloatArray, BoolArray]:
    """The same from one sparse matrix (S, S) per action; rewards (S, A), (S,), or one matrix per action."""
    if sparse.issparse(transition) or not isinstance(transition, Sequence | np.ndarray) or isinstance(transition, str | bytes):
        raise InvalidMDP(
            f"transition is a {type(transition).__name__}, not a list of matrices", "Give one (S, S) matrix per action."
        )
    matrices = [_matrix(f"transition[{a}]", one) for a, one in enumerate(transition)]
    if not matrices:
        raise InvalidMDP("transition is empty: there are no actions", "Give one (S, S) matrix per action.")
    A, S = len(matrices), matrices[0].shape[0]
    for a, one in enumerate(matrices):
        check_shape(f"transition[{a}]", one, (S, S), InvalidMDP)
    mask = availability(available, (S, A))
    state, action = np.nonzero(mask)
    rows = action * S + state
    kernel = sparse.vstack(matrices, format="csr")[rows]
    if isinstance(reward, tuple | list) and len(reward) and all(sparse.issparse(one) for one in reward):
        if len(reward) != A:
            raise InvalidMDP(f"reward has {len(reward)} matrices, one per action is {A}")
        stacked = sparse.vstack([_matrix(f"reward[{a}]", one) for a, one in enumerate(reward)], format="csr")
        check_shape("reward", stacked, (A * S, S), InvalidMDP)
        return mask.sum(axis=1), kernel, np.asarray(kernel.multiply(stacked[rows]).sum(axis=1)).reshape(-1), mask
    r = real_array("reward", reward)
    if r.shape not in ((S,), (S, A)):
        check_shape("reward", r, (S, A), InvalidMDP)
    return mask.sum(axis=1), kernel, (r[state] if r.ndim == 1 else r[mask]), mask


def real_array(name: str, value: Any) -> FloatArray:
    """A float array that may hold anything for now, NaN included."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as cause:
        raise InvalidMDP(f"{name} is not an array of numbers: {cause}") from cause


def availability(given: Any, shape: tuple[int, int]) -> BoolArray:
    """The mask (S, A); everything when not given; zeros and ones count as truth values."""
    if given is None:
        return np.ones(shape, dtype=bool)
    mask = real_array("available", given)
    check_shape("available", mask, shape, InvalidMDP)
    wrong = (mask != 0) & (mask != 1)
    if wrong.any():
        s, a = (int(k) for k in np.argwhere(wrong)[0])
        raise InvalidMDP(f"available[{s}, {a}] is {mask[s, a]}, not a truth value")
    return mask.astype(bool)


def pair_labels(labels: Sequence[str], mask: BoolArray) -> Sequence[str]:
    """One label per pair, from one per action."""
    if not isinstance(labels, Sequence) or isinstance(labels, str) or len(labels) != mask.shape[1]:
        return labels
    return [str(labels[a]) for a in np.nonzero(mask)[1].tolist()]


def expected_reward(reward: Any, kernels: Sequence[Any]) -> FloatArray:
    """(K,) or (H, K) from rewards (K, S), sparse, that depend on the next state."""
    matrix = _matrix("reward", reward)
    check_shape("reward", matrix, kernels[0].shape, InvalidMDP)
    each = [np.asarray(matrix.multiply(one).sum(axis=1)).reshape(-1) for one in kernels]
    return each[0] if len(each) == 1 else np.stack(each)


def _matrix(name: str, value: Any) -> Any:
    if sparse.issparse(value):
        return sparse.csr_array(value)
    array = real_array(name, value)
    check_shape(name, array, (None, None), InvalidMDP)
    return sparse.csr_array(array)


def _masked_reward(r: FloatArray, mask: BoolArray, horizon: int | None) -> tuple[FloatArray, bool]:
    """Pairs (..., K), or with True (..., K, S), from any of the shapes that ``from_arrays`` takes."""
    S, A = mask.shape
    known = ((S,), (S, A), (S, A, S))
    lead = 1 if horizon is not None and r.shape not in known and r.ndim and r.shape[0] == horizon else 0
    tail = r.shape[lead:]
    if tail not in known:
        shape = " x ".join(map(str, r.shape)) or "scalar"
        remedy = "With a horizon, a leading axis H too."
        raise InvalidMDP(f"reward has shape {shape}, expected {S} x {A}, {S} or {S} x {A} x {S}", remedy)
    if tail == (S,):
        return np.repeat(r, mask.sum(axis=1), axis=-1), False
    return (r[:, mask] if lead else r[mask]), tail == (S, A, S)


def _expectation(r: FloatArray, kernels: Sequence[FloatArray]) -> FloatArray:
    """Rewards (K, S) or (H, K, S) averaged over the next state; next states of probability 0 may have any."""
    steps = max(len(kernels), len(r) if r.ndim == 3 else 1)
    each = []
    for h in range(steps):
        P = kernels[h if len(kernels) > 1 else 0]
        each.append(np.einsum("ks,ks->k", P, np.where(P > 0, r[h] if r.ndim == 3 else r, 0.0)))
    return np.stack(each) if steps > 1 or r.ndim == 3 else each[0]
