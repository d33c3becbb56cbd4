"""The names of the package: each one exists, none hides a module, and importing them costs nothing."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import eqsolve.mdp


def test_every_public_name_is_there():
    for name in sorted(eqsolve.mdp.__all__, reverse=True):
        value = getattr(eqsolve.mdp, name)
        assert value is not None
        assert not isinstance(value, ModuleType), name
    assert set(eqsolve.mdp.__all__) <= set(dir(eqsolve.mdp))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = eqsolve.mdp.nothing


def test_importing_it_loads_neither_numba_nor_solvers():
    code = "import sys, eqsolve.mdp; print([m for m in ('numba', 'highspy', 'scipy.optimize') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
