"""Correlated equilibria beside OpenSpiel's JPSRO and highspy alone; zero-sum games beside QuantEcon and highspy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import highspy
import numpy as np
from open_spiel.python.algorithms import jpsro
from quantecon.optimize.minmax import minmax
from scipy import sparse

from benchmarks.registry import Bench, case
from eqsolve.normal_form import NormalFormGame, correlated_equilibrium, correlated_gap, random_game, value_program, zero_sum
from eqsolve.normal_form.programs import incentive_matrix
from eqsolve.programs import Program

# JPSRO names ECOS, which is no dependency of its own; cvxpy's Clarabel is the solver that is there.
CLARABEL = {"solver": "CLARABEL"}
TARGETS = ((8,) * 4, (3,) * 6)


def by_jpsro(game: NormalFormGame, solve: Callable[..., Any]) -> np.ndarray:
    """The private functions of JPSRO, with the payoffs and one repeat per action."""
    jpsro.DEFAULT_ECOS_SOLVER_KWARGS.clear()
    jpsro.DEFAULT_ECOS_SOLVER_KWARGS.update(CLARABEL)
    distribution, _ = solve(np.array(game.payoffs), [np.ones(m) for m in game.shape])
    return np.asarray(distribution)


def by_highspy(program: Program) -> highspy.Highs:
    """A program in arrays, handed to HiGHS with its own defaults."""
    model = highspy.Highs()
    model.silent()
    model.setOptionValue("threads", 1)
    A = sparse.csc_array(program.A)
    sense = highspy.ObjSense.kMaximize if program.sense == "max" else highspy.ObjSense.kMinimize
    whole = np.zeros(program.n_columns, dtype=np.int32)
    bounds = (program.col_lower, program.col_upper, program.row_lower, program.row_upper)
    size = (program.n_columns, program.n_rows, A.nnz, int(highspy.MatrixFormat.kColwise), int(sense), 0.0)
    model.passModel(*size, program.c, *bounds, A.indptr, A.indices, A.data, whole)
    model.run()
    return model


def certified(game: NormalFormGame, concept: Any) -> None:
    found = correlated_equilibrium(game, concept)
    if not (found.gap.holds(1e-8) and found.certificate.holds(1e-7)):
        raise AssertionError(f"{found.gap}, {found.certificate}")


@case("correlated")
def run(bench: Bench) -> None:
    """Welfare-best correlated and coarse correlated equilibria: 4 players x 8 actions and 6 x 3; values of matrix games."""
    shapes = ((3,) * 3, (2,) * 4) if bench.quick else ((5,) * 4, (3,) * 6, (8,) * 4)
    for shape in shapes:
        game = random_game(shape)
        for concept, theirs in (("CCE", jpsro._mwcce), ("CE", jpsro._mwce)):
            size = f"{len(shape)} x {shape[0]}, {concept}"
            found = correlated_equilibrium(game, concept)
            program = found.program()
            bench.compare(size, "build", {"eqsolve": lambda g=game, c=concept: incentive_matrix(g, c)})
            taken = bench.compare(
                size,
                "solve",
                {
                    "eqsolve, gap included": lambda g=game, c=concept: correlated_equilibrium(g, c),
                    "eqsolve, all certificates": lambda g=game, c=concept: certified(g, c),
                    "highspy alone, built by us": lambda p=program: by_highspy(p),
                    "OpenSpiel JPSRO (Clarabel)": lambda g=game, f=theirs: by_jpsro(g, f),
                },
            )
            raw = by_jpsro(game, theirs)
            other = correlated_gap(game, np.maximum(raw, 0.0) / np.maximum(raw, 0.0).sum(), concept)
            print(f"     {found.gap}; value {found.value:.9f}, bound {found.certificate.bound.value:.9f}; of JPSRO: {other}")
            ratio = taken["OpenSpiel JPSRO (Clarabel)"] / taken["eqsolve, gap included"]
            if shape in TARGETS:
                bench.target(f"JPSRO / eqsolve, {size}", ratio, 5.0)
    for concept, theirs in (("CCE", jpsro._mgcce), ("CE", jpsro._mgce)):
        game = random_game(shapes[0])
        print(f"     {correlated_equilibrium(game, concept, 'max_gini').gap}")
        bench.compare(
            f"{len(game.shape)} x {game.shape[0]}, {concept}, Gini",
            "solve",
            {
                "eqsolve": lambda g=game, c=concept: correlated_equilibrium(g, c, "max_gini"),
                "OpenSpiel JPSRO": lambda g=game, f=theirs: by_jpsro(g, f),
            },
        )


@case("zero-sum")
def values(bench: Bench) -> None:
    """Value and both strategies of uniform random matrices."""
    rng = np.random.default_rng(0)
    for n in (30, 60) if bench.quick else (100, 300, 600):
        A = rng.random((n, n))
        found = zero_sum(A)
        program = value_program(A)
        minmax(A[:5, :5])  # compiles
        taken = bench.compare(
            f"{n} x {n}",
            "solve",
            {
                "eqsolve, gap included": lambda m=A: zero_sum(m),
                "QuantEcon minmax": lambda m=A: minmax(m),
                "highspy alone, built by us": lambda p=program: by_highspy(p),
            },
            repeats=3 if n > 300 else None,
        )
        print(f"     {found.gap}; value {found.value:.12f}, QuantEcon {minmax(A)[0]:.12f}")
        if n >= 300:
            bench.target(f"QuantEcon / eqsolve, {n} x {n}", taken["QuantEcon minmax"] / taken["eqsolve, gap included"], 1.0)
