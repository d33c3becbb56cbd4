"""Model files of the driver's toy system: many cheap random steps, so that runs can be cut anywhere."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from eqsolve.modelfile.fields import Numbers, Strict
from eqsolve.modelfile.schema import SYSTEMS, NamedFile
from tests.driver.toy import Target

TOY = """
eqsolve: 1
system: toy
game: {goal: [0.3, -0.7]}
algorithm: {name: Walk, tolerance: 1e-3}
"""


class GoalPart(Strict):
    goal: Numbers


class ToyFile(NamedFile):
    system: Literal["toy"]
    game: GoalPart

    def build(self):
        return Target(np.array(self.game.goal))


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The path of a toy model in a folder of its own."""
    monkeypatch.setitem(SYSTEMS, "toy", lambda: ToyFile)
    path = tmp_path / "toy.yaml"
    path.write_text(TOY)
    return str(path)
