"""Write the table of docs/backends.md anew from what the backends declare: python docs/make_backends_table.py."""

from pathlib import Path

from eqsolve.backends import all_backends
from eqsolve.cli.backends import capability_table

BEGIN, END = "<!-- table: begin -->\n", "\n<!-- table: end -->"

path = Path(__file__).with_name("backends.md")
head, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
tail = rest.partition(END)[2]
path.write_text(head + BEGIN + capability_table(all_backends()) + END + tail, encoding="utf-8")
