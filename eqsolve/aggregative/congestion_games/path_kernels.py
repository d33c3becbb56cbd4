"""Compiled passes of pairwise Newton steps; ``path_sweeps`` has the numpy twin of the sweeps and chooses between the two.

Imported on first use only, since numba takes long to load. Every sum runs in an order that the paths alone fix, in one thread.
``roads`` are the arrays (coefficients, exponents, flows, costs, slopes) of the resources; ``scratch`` are (marks (R,) of zeros,
resources and sides (R,) of a difference, totals of the paths of one type).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eqsolve.aggregative.congestion_games.path_set import CHEAPER
from eqsolve.aggregative.congestion_games.path_sweeps import ENOUGH, OVERSHOT, TRIES
from eqsolve.arrays import FloatArray
from eqsolve.mdp.kernels import ONE, compiled

P_ONLY, Q_ONLY, NONE = np.uint8(2), np.uint8(1), np.uint8(0)
TWO = np.uint64(2)


@compiled
def evaluate(roads: Any, r: Any) -> None:
    """The cost of a resource and its slope: the sum of powers of its flow, and the derivative."""
    a, e, x, cost, slope = roads
    c, d, y = 0.0, 0.0, max(x[r], 0.0)
    for m in range(np.uint64(a.shape[1])):
        k, p = a[r, m], e[r, m]
        if k == 0.0:
            continue
        if p == 0.0:
            c += k
        elif p == 1.0:
            c += k * y
            d += k
        else:
            power = y * y * y if p == 4.0 else y ** (p - 1.0)
            c += k * power * y
            d += k * p * power
    cost[r], slope[r] = c, d


@compiled
def evaluate_all(roads: Any) -> None:
    """Costs and slopes of all resources."""
    for r in range(np.uint64(len(roads[2]))):
        evaluate(roads, r)


@compiled
def along(resources: Any, begin: Any, end: Any, cost: FloatArray) -> float:
    """The cost of a path."""
    total = 0.0
    for k in range(begin, end):
        total += cost[np.uint64(resources[k])]
    return total


@compiled
def move(part: Any, side: Any, n: Any, step: float, roads: Any) -> float:
    """Move ``step`` of flow from the resources of side P to those of side Q; the difference of their costs after it."""
    x, cost = roads[2], roads[3]
    total = 0.0
    for k in range(n):
        r = part[k]
        if side[k] == P_ONLY:
            x[r] -= step
            evaluate(roads, r)
            total += cost[r]
        else:
            x[r] += step
            evaluate(roads, r)
            total -= cost[r]
    return total


@compiled
def shift(p: Any, q: Any, here: float, roads: Any, scratch: Any) -> float:
    """How much of the flow ``here`` moves from path p to path q, whose resources are marked, towards equal costs."""
    cost, slope = roads[3], roads[4]
    mark, part, side, _ = scratch
    n = np.uint64(0)
    ahead, steep = 0.0, 0.0
    for k in range(np.uint64(len(p))):
        r = np.uint64(p[k])
        if mark[r]:
            mark[r] = P_ONLY
        else:
            part[n], side[n] = r, P_ONLY
            n += ONE
            ahead += cost[r]
            steep += slope[r]
    for k in range(np.uint64(len(q))):
        r = np.uint64(q[k])
        if mark[r] == Q_ONLY:
            part[n], side[n] = r, Q_ONLY
            n += ONE
            ahead -= cost[r]
            steep += slope[r]
        else:
            mark[r] = Q_ONLY
    if not ahead > 0.0:
        return 0.0
    step = here if steep * here <= ahead else ahead / steep
    left = move(part, side, n, step, roads)
    if left < -OVERSHOT * ahead:
        # Too far: to where the line through the last two differences of either sign crosses zero.
        low, high, at_low, at_high = 0.0, step, ahead, left
        for _ in range(TRIES):
            new = low + (high - low) * min(max(at_low / (at_low - at_high), 0.05), 0.95)
            left = move(part, side, n, new - step, roads)
            step = new
            if left < 0.0:
                high, at_high = step, left
            else:
                low, at_low = step, left
            if -OVERSHOT * ahead <= left <= ENOUGH * ahead:
                break
    return step


@compiled
def marked(path: Any, mark: Any, value: Any) -> None:
    """Mark the resources of a path."""
    for k in range(np.uint64(len(path))):
        mark[np.uint64(path[k])] = value


@compiled
def sweep(
    types: Any, known: Any, flow: FloatArray, weight: FloatArray, threshold: float, met: FloatArray, roads: Any, scratch: Any
) -> float:
    """One pass over some types: vehicles on dearer paths move to the cheapest known one; the excess that it met.

    ``met`` (T,) takes the excess of each of the types: flow times cost above the cheapest, before its move. Types with less than
    ``threshold`` of it are left as they are. ``known`` : (first (T+1,), indptr (P+1,), resources) of the paths.
    """
    first, indptr, resources = known
    cost = roads[3]
    mark, totals = scratch[0], scratch[3]
    together = 0.0
    for i in range(np.uint64(len(types))):
        t = np.uint64(types[i])
        begin, end = np.uint64(first[t]), np.uint64(first[t + ONE])
        q: Any = begin
        least = np.inf
        for p in range(begin, end):
            total = along(resources, np.uint64(indptr[p]), np.uint64(indptr[p + ONE]), cost)
            totals[p - begin] = total
            if total < least:
                q, least = p, total
        excess = 0.0
        for p in range(begin, end):
            excess += flow[p] * (totals[p - begin] - least)
        excess *= weight[t]
        met[t] = excess
        together += excess
        if excess <= threshold:
            continue
        cheapest = resources[indptr[q] : indptr[q + ONE]]
        marked(cheapest, mark, Q_ONLY)
        for p in range(begin, end):
            if p == q or flow[p] <= 0.0:
                continue
            here = weight[t] * flow[p]
            step = shift(resources[indptr[p] : indptr[p + ONE]], cheapest, here, roads, scratch)
            moved = flow[p] if step >= here else step / weight[t]
            flow[p] -= moved
            flow[q] += moved
        marked(cheapest, mark, NONE)
    return together


@compiled
def tree(source: Any, star: Any, cost: FloatArray, distance: FloatArray, via: Any, key: FloatArray, node: Any) -> None:
    """Distances from a vertex and the link by which each vertex is reached: Dijkstra's algorithm with a binary heap.

    ``star`` : (indptr (V+1,), head, link) of the links in order of their tails. ``key``, ``node`` (links + 1,) : the heap.
    """
    indptr, head, link = star
    distance[:] = np.inf
    distance[source] = 0.0
    key[0], node[0] = 0.0, source
    size = np.uint64(1)
    while size:
        d, v = key[0], np.uint64(node[0])
        size -= ONE
        last, its = key[size], node[size]
        k = np.uint64(0)
        while True:
            child = TWO * k + ONE
            if child >= size:
                break
            if child + ONE < size and key[child + ONE] < key[child]:
                child += ONE
            if key[child] >= last:
                break
            key[k], node[k] = key[child], node[child]
            k = child
        key[k], node[k] = last, its
        if d > distance[v]:
            continue
        for j in range(np.uint64(indptr[v]), np.uint64(indptr[v + ONE])):
            r, to = np.uint64(link[j]), np.uint64(head[j])
            there = d + cost[r]
            if there < distance[to]:
                distance[to], via[to] = there, j
                k = size
                size += ONE
                while k:
                    parent = (k - ONE) // TWO
                    if key[parent] <= there:
                        break
                    key[k], node[k] = key[parent], node[parent]
                    k = parent
                key[k], node[k] = there, to


@compiled
def distances(origins: Any, star: Any, cost: FloatArray, least: FloatArray, trees: Any) -> None:
    """least (T,) = the costs of shortest paths.

    ``origins`` : (vertices (K,), groups (K+1,), types (T,), destinations (T,)); ``types[groups[k]:groups[k+1]]`` begin at vertex k.
    """
    sources, groups, by_origin, destination = origins
    distance, via, key, node = trees
    for k in range(np.uint64(len(sources))):
        tree(sources[k], star, cost, distance, via, key, node)
        for i in range(np.uint64(groups[k]), np.uint64(groups[k + ONE])):
            t = np.uint64(by_origin[i])
            least[t] = distance[np.uint64(destination[t])]


@compiled
def find_paths(
    origins: Any,
    star: Any,
    tails: Any,
    known: Any,
    flow: FloatArray,
    weight: FloatArray,
    roads: Any,
    scratch: Any,
    trees: Any,
    new: Any,
) -> Any:
    """One pass over the origins: vehicles move to shortest paths that are cheaper than all known ones, at the costs of that moment.

    Returns the number of new paths and their resources, one after the other; ``new``, three arrays (T,), takes their types, where
    the resources of each end, and their flows.
    """
    sources, groups, by_origin, destination = origins
    first, indptr, resources = known
    new_type, new_end, new_flow = new
    distance, via, key, node = trees
    link = star[2]
    cost, mark = roads[3], scratch[0]
    found = np.empty(max(len(resources), 1024), resources.dtype)
    n, used = np.uint64(0), np.uint64(0)
    for k in range(np.uint64(len(sources))):
        source = np.uint64(sources[k])
        tree(source, star, cost, distance, via, key, node)
        for i in range(np.uint64(groups[k]), np.uint64(groups[k + ONE])):
            t = np.uint64(by_origin[i])
            least = np.inf
            for p in range(np.uint64(first[t]), np.uint64(first[t + ONE])):
                least = min(least, along(resources, np.uint64(indptr[p]), np.uint64(indptr[p + ONE]), cost))
            hops, now, v = np.uint64(0), 0.0, np.uint64(destination[t])
            while v != source:
                j = np.uint64(via[v])
                now += cost[np.uint64(link[j])]
                v = np.uint64(tails[j])
                hops += ONE
            if now >= least * (1.0 - CHEAPER):
                continue
            if used + hops > np.uint64(len(found)):
                larger = np.empty(2 * len(found) + int(hops), found.dtype)
                larger[: len(found)] = found
                found = larger
            path = found[used : used + hops]
            v = np.uint64(destination[t])
            for back in range(hops):
                j = np.uint64(via[v])
                path[hops - back - ONE] = link[j]
                v = np.uint64(tails[j])
            marked(path, mark, Q_ONLY)
            taken = 0.0
            for p in range(np.uint64(first[t]), np.uint64(first[t + ONE])):
                if flow[p] <= 0.0:
                    continue
                here = weight[t] * flow[p]
                step = shift(resources[indptr[p] : indptr[p + ONE]], path, here, roads, scratch)
                moved = flow[p] if step >= here else step / weight[t]
                flow[p] -= moved
                taken += moved
            marked(path, mark, NONE)
            if taken > 0.0:
                used += hops
                new_type[n], new_end[n], new_flow[n] = t, used, taken
                n += ONE
    return n, found[:used]
