"""The loops of ``q_learning``, compiled; imported on first use only, since numba takes long to load."""

from __future__ import annotations

from eqsolve.mdp.kernels import compiled
from eqsolve.mean_field.learning.q_learning import update, wander

wander = compiled(wander)
update = compiled(update)
