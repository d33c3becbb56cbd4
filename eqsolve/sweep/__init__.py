"""Sweeps: one model over the product of settings and seeds, into one folder with a table and a figure."""

from eqsolve.sweep.plan import PLAN, Cell, Plan, parse_seeds, parse_values
from eqsolve.sweep.run import sweep
from eqsolve.sweep.table import read_rows, table_head, table_rows, to_frame

__all__ = ["PLAN", "Cell", "Plan", "parse_seeds", "parse_values", "read_rows", "sweep", "table_head", "table_rows", "to_frame"]
