"""Building one large sparse program: 100,000 columns, 25,000 rows, 600,000 nonzeros."""

from __future__ import annotations

from dataclasses import dataclass

import cvxpy
import highspy
import linopy
import numpy as np
import pandas as pd
import pulp
import xarray
from scipy import sparse

from benchmarks.registry import Bench, case
from eqsolve.backends import get_backend
from eqsolve.programs import Program, ProgramBuilder


@dataclass(frozen=True)
class Data:
    """Triplets of an occupancy-like program: columns mu[state, action], one flow row per state."""

    states: int
    actions: int
    row: np.ndarray
    column: np.ndarray
    value: np.ndarray
    reward: np.ndarray

    @staticmethod
    def random(states: int, actions: int = 4, successors: int = 5) -> Data:
        rng = np.random.default_rng(0)
        n = states * actions
        row = np.concatenate((np.arange(n) // actions, rng.integers(0, states, n * successors)))
        column = np.concatenate((np.arange(n), np.repeat(np.arange(n), successors)))
        value = np.concatenate((np.ones(n), -0.95 * rng.dirichlet(np.ones(successors), n).ravel()))
        return Data(states, actions, row, column, value, rng.random(n))

    @property
    def n(self) -> int:
        return self.states * self.actions

    def matrix(self) -> sparse.csc_array:
        return sparse.coo_array((self.value, (self.row, self.column)), shape=(self.states, self.n)).tocsc()


def by_eqsolve(data: Data) -> Program:
    builder = ProgramBuilder("occupancy", sense="max")
    mu = builder.columns("mu", (data.states, data.actions), axes=("state", "action"))
    flow = builder.rows("flow", (data.states,), axes=("state",), lower=1.0 / data.states, upper=1.0 / data.states)
    builder.add(flow, mu, data.row, data.column, data.value)
    builder.objective(mu, data.reward)
    return builder.build()


def hand_over(data: Data, matrix: sparse.csc_array) -> highspy.Highs:
    """highspy's array hand-over of a matrix in CSC form."""
    highs = highspy.Highs()
    highs.silent()
    rhs = np.full(data.states, 1.0 / data.states)
    highs.passModel(
        data.n,
        data.states,
        matrix.nnz,
        int(highspy.MatrixFormat.kColwise),
        int(highspy.ObjSense.kMaximize),
        0.0,
        data.reward,
        np.zeros(data.n),
        np.full(data.n, np.inf),
        rhs,
        rhs,
        matrix.indptr,
        matrix.indices,
        matrix.data,
        np.zeros(data.n, dtype=np.int32),
    )
    return highs


def by_cvxpy(data: Data, matrix: sparse.csc_array) -> object:
    mu = cvxpy.Variable(data.n, nonneg=True)
    problem = cvxpy.Problem(cvxpy.Maximize(data.reward @ mu), [matrix @ mu == 1.0 / data.states])
    return problem.get_problem_data(cvxpy.HIGHS)


def by_pulp(data: Data) -> pulp.LpProblem:
    problem = pulp.LpProblem("occupancy", pulp.LpMaximize)
    mu = [pulp.LpVariable(f"mu_{j}", 0) for j in range(data.n)]
    problem += pulp.LpAffineExpression(zip(mu, data.reward.tolist(), strict=True))
    rows: list[list[tuple[pulp.LpVariable, float]]] = [[] for _ in range(data.states)]
    for i, j, v in zip(data.row.tolist(), data.column.tolist(), data.value.tolist(), strict=True):
        rows[i].append((mu[j], v))
    for terms in rows:
        problem += pulp.LpAffineExpression(terms) == 1.0 / data.states
    return problem


def by_linopy(data: Data) -> linopy.Model:
    model = linopy.Model()
    mu = model.add_variables(lower=0, coords=[pd.RangeIndex(data.n, name="pair")], name="mu")
    picked = mu.isel(pair=xarray.DataArray(data.column, dims="entry"))
    weights = xarray.DataArray(data.value, dims="entry")
    groups = pd.Series(data.row, index=pd.RangeIndex(len(data.row), name="entry"), name="state")
    terms = (weights * picked).groupby(groups.to_xarray()).sum()
    model.add_constraints(terms == 1.0 / data.states, name="flow")
    model.add_objective((xarray.DataArray(data.reward, dims="pair") * mu).sum(), sense="max")
    return model


@case("occupancy-build")
def run(bench: Bench) -> None:
    """Our build against highspy's hand-over and the modelling layers, all from the same triplets."""
    data = Data.random(2500 if bench.quick else 25_000)
    matrix = data.matrix()
    size = f"{data.n:,} columns, {matrix.nnz:,} nonzeros"
    highs = get_backend("highs")
    program = by_eqsolve(data)

    def hand_over_program() -> None:
        highs.open(program).close()

    taken = bench.compare(
        size,
        "build",
        {
            "highspy array hand-over of CSC": lambda: hand_over(data, matrix),
            "highspy, triplets to CSC included": lambda: hand_over(data, data.matrix()),
            "eqsolve": lambda: by_eqsolve(data),
            "eqsolve, hand-over to highs": hand_over_program,
            "eqsolve, both": lambda: highs.open(by_eqsolve(data)).close(),
            "cvxpy (matrix form, to solver data)": lambda: by_cvxpy(data, matrix),
        },
        repeats=max(7, bench.repeats),
    )
    slow = bench.compare(
        size,
        "build",
        {
            "eqsolve": lambda: by_eqsolve(data),
            "pulp": lambda: by_pulp(data),
            "linopy (groupby sum)": lambda: by_linopy(data),
        },
        repeats=3,
    )
    ours = taken["eqsolve"]
    bench.target("eqsolve build / highspy hand-over", ours / taken["highspy array hand-over of CSC"], 1.5, at_least=False)
    both = taken["eqsolve, both"] / taken["highspy, triplets to CSC included"]
    bench.target("eqsolve build and hand-over / highspy from the same triplets", both, 1.5, at_least=False)
    bench.target("cvxpy / eqsolve", taken["cvxpy (matrix form, to solver data)"] / ours, 2.0)
    bench.target("pulp / eqsolve", slow["pulp"] / slow["eqsolve"], 5.0)
    bench.target("linopy / eqsolve", slow["linopy (groupby sum)"] / slow["eqsolve"], 5.0)
