"""The second-order check of a stationary point: is it a maximum, or a saddle that ascent has got stuck on?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.bayesian_network.layout import length

SHIFT = 1e-4
"""Distance, in logits, over which differences of the gradient stand for second derivatives."""
DIRECTIONS = 60
"""Dimension of the space in which a direction of largest curvature is looked for."""

Gradient = Callable[[FloatArray], FloatArray]


def steepest_curvature(gradient: Gradient, logits: FloatArray, rng: np.random.Generator) -> tuple[float, FloatArray]:
    """The largest curvature of the objective that was found, and a unit vector (D,) along which it curves so.

    Lanczos's method with full orthogonalisation: the largest eigenvalue of the Hessian within the space spanned by a random vector
    and its images, which is the whole space where D is at most 60. Products with the Hessian are central differences of the exact
    gradient, which err by about 1e-8 of its scale. Adding a constant to the logits of a row changes nothing, so that the curvature
    is never below 0 by more than that.

    Parameters
    ----------
    rng : draws the first vector.
    """
    D = len(logits)
    basis = np.zeros((min(D, DIRECTIONS), D))
    images = np.zeros_like(basis)
    fresh = rng.standard_normal(D)
    count = 0
    while count < len(basis):
        for _ in range(2):  # once more against what rounding left
            fresh = fresh - _combination(np.einsum("kd,d->k", basis[:count], fresh), basis[:count])
        size = length(fresh)
        if size <= 1e-9:
            fresh = rng.standard_normal(D)
            continue
        v = basis[count] = fresh / size
        h = SHIFT / float(np.abs(v).max())
        image = (gradient(logits + h * v) - gradient(logits - h * v)) / (2.0 * h)
        images[count] = image
        count += 1
        scale = length(image)
        fresh = image / scale if scale > 0 else rng.standard_normal(D)
    inside = np.einsum("kd,ld->kl", basis, images)
    values, vectors = np.linalg.eigh(0.5 * (inside + inside.T))
    return float(values[-1]), _combination(vectors[:, -1], basis)


def _combination(weights: FloatArray, vectors: FloatArray) -> FloatArray:
    """(D,) the sum of vectors (k, D) times weights (k,); not by BLAS, see ``dot``."""
    return np.asarray(np.einsum("k,kd->d", weights, vectors))
