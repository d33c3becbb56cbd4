"""One origin's demand of a TNTP trips file as demand.csv, and three corridors as times.csv.

python from_tntp.py TRIPS.tntp ORIGIN FOLDER
"""

import csv
import re
import sys
from pathlib import Path

TRIPS_PER_PLAYER = 10
CORRIDORS = {"north": (20.0, 2500.0), "centre": (16.0, 1800.0), "south": (26.0, 4000.0)}  # free-flow minutes, capacity in trips

trips, origin, folder = Path(sys.argv[1]).read_text(), sys.argv[2], Path(sys.argv[3])
rows = re.search(rf"Origin\s+{origin}\s+([^O]*)", trips).group(1)
demand = {int(zone): float(flow) for zone, flow in re.findall(r"(\d+)\s*:\s*([\d.]+)\s*;", rows) if float(flow) > 0}
with (folder / "demand.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["destination", "players", "value_of_time", *CORRIDORS])
    for zone, flow in demand.items():  # how far each corridor is out of the way of a zone, in minutes, is made up here
        extra = [zone * step % 7 for step in (1, 2, 4)]
        table.writerow([f"zone {zone}", round(flow / TRIPS_PER_PLAYER), round(0.2 + 0.02 * (zone % 5), 2), *extra])
with (folder / "times.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["trips", *CORRIDORS])
    for share in range(51):  # Bureau of Public Roads: minutes = free (1 + 0.15 (load / capacity)^4)
        load = sum(demand.values()) * share / 50
        table.writerow([load, *(round(free * (1 + 0.15 * (load / cap) ** 4), 6) for free, cap in CORRIDORS.values())])
