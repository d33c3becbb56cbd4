"""Tiny Markov games written out: numbers in plain lists, rewards and transitions by their formulas, everything else by loops.

Nothing of the library is used but to build the same game in its terms (``TinyGame.game``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import exp, sin

import numpy as np

from eqsolve.aggregative import AffinePayoffs, CallablePayoffs, CurvePayoffs
from eqsolve.aggregative.markov import (
    AggregativeMarkovGame,
    CallableTransitions,
    ConstantTransitions,
    MixtureTransitions,
    SoftmaxTransitions,
)

REWARDS = ("affine", "curves", "callable")
TRANSITIONS = ("constant", "mixture", "softmax", "callable")
MOST_PLANS = 512
"""Deviation policies of one player at most: m^(H S)."""


@dataclass(frozen=True)
class TinyGame:
    """Contributions g[h][i][j][k], weights w[h][s][i][j], parameters r[h][s][i][j] of rewards and p[h][s] of transitions."""

    m: list[int]
    S: int
    H: int
    d: int
    rewards: str
    transitions: str
    g: list
    w: list
    r: list
    p: list
    initial: list

    def x(self, h, a):
        return [sum(self.g[h][i][j][k] for i, j in enumerate(a)) for k in range(self.d)]

    def reward(self, h, s, i, j, x):
        one = self.r[h][s][i][j]
        if self.rewards == "affine":
            return one["base"] + sum(c * y for c, y in zip(one["slope"], x, strict=True))
        if self.rewards == "curves":
            return one["base"] + one["scale"] * _interpolated(one["nodes"], one["curve"], x[one["coordinate"]])
        return one["base"] + 0.4 * sin(one["phase"] + sum(c * y for c, y in zip(one["slope"], x, strict=True)))

    def next_state(self, h, s, x):
        one = self.p[h][s]
        along = one["base"] + sum(c * y for c, y in zip(one["slope"], x, strict=True))
        if self.transitions == "constant":
            return one["low"]
        if self.transitions == "softmax":
            weight = [
                exp(b + sum(c * y for c, y in zip(row, x, strict=True))) for b, row in zip(one["low"], one["rows"], strict=True)
            ]
            return [each / sum(weight) for each in weight]
        share = min(1.0, max(0.0, along)) if self.transitions == "mixture" else 0.5 + 0.5 * sin(along)
        return [(1 - share) * a + share * b for a, b in zip(one["low"], one["high"], strict=True)]

    def earned(self, actions, i):
        """What player i earns under actions[h][s][i], over all trajectories from the initial distribution."""

        def follow(h, s):
            if h == self.H:
                return 0.0
            a = actions[h][s]
            x = self.x(h, a)
            now = self.reward(h, s, i, a[i], x)
            return now + sum(p * follow(h + 1, t) for t, p in enumerate(self.next_state(h, s, x)))

        return sum(p * follow(0, s) for s, p in enumerate(self.initial))

    def gains(self, actions):
        """The best gain of each player over all its m^(HS) deviation policies; what depends on one's own action is tabled first."""
        found = []
        for i, m in enumerate(self.m):
            now, ahead = {}, {}
            for h, s, j in product(range(self.H), range(self.S), range(m)):
                a = [j if k == i else one for k, one in enumerate(actions[h][s])]
                x = self.x(h, a)
                now[h, s, j], ahead[h, s, j] = self.reward(h, s, i, j, x), self.next_state(h, s, x)
            best = max(self._policy_value(now, ahead, plan) for plan in product(range(m), repeat=self.H * self.S))
            found.append(best - self.earned(actions, i))
        return found

    def _policy_value(self, now, ahead, plan):
        total, at = 0.0, dict(enumerate(self.initial))
        for h in range(self.H):
            following = dict.fromkeys(range(self.S), 0.0)
            for s, p in at.items():
                j = plan[h * self.S + s]
                total += p * now[h, s, j]
                for t, q in enumerate(ahead[h, s, j]):
                    following[t] += p * q
            at = following
        return total

    def welfare(self, actions):
        def follow(h, s):
            if h == self.H:
                return 0.0
            a = actions[h][s]
            now = sum(self.w[h][s][i][j] for i, j in enumerate(a))
            return now + sum(p * follow(h + 1, t) for t, p in enumerate(self.next_state(h, s, self.x(h, a))))

        return sum(p * follow(0, s) for s, p in enumerate(self.initial))

    def best_of_stage_equilibria(self, actions):
        """The best welfare of a profile that plays exact equilibria of all stages, with the continuation values of ``actions``.

        None where some stage has none.
        """
        values = [[0.0] * self.S for _ in self.m]
        best = [0.0] * self.S
        for h in reversed(range(self.H)):
            now = [[0.0] * self.S for _ in self.m]
            found = []
            for s in range(self.S):

                def worth(i, a, h=h, s=s, values=values):
                    x = self.x(h, a)
                    ahead = self.next_state(h, s, x)
                    return self.reward(h, s, i, a[i], x) + sum(p * v for p, v in zip(ahead, values[i], strict=True))

                welfare = []
                for a in product(*(range(m) for m in self.m)):
                    stays = all(
                        worth(i, a) >= worth(i, [*a[:i], j, *a[i + 1 :]])
                        for i, m in enumerate(self.m)
                        for j in range(m)
                        if j != a[i]
                    )
                    if stays:
                        ahead = self.next_state(h, s, self.x(h, a))
                        mine = sum(self.w[h][s][i][j] for i, j in enumerate(a))
                        welfare.append(mine + sum(p * v for p, v in zip(ahead, best, strict=True)))
                if not welfare:
                    return None
                found.append(max(welfare))
                for i in range(len(self.m)):
                    now[i][s] = worth(i, actions[h][s])
            values, best = now, found
        return sum(p * v for p, v in zip(self.initial, best, strict=True))

    @cached_property
    def game(self) -> AggregativeMarkovGame:
        """The same game in the library's terms."""
        return AggregativeMarkovGame(
            horizon=self.H,
            n_actions=self.m,
            contribution=np.array([[one for player in step for one in player] for step in self.g]),
            rewards=[[self._family(h, s) for s in range(self.S)] for h in range(self.H)],
            transition=self._transitions(),
            initial=self.initial,
            welfare=np.array([[[one for player in state for one in player] for state in step] for step in self.w]),
        )

    def _family(self, h, s):
        flat = [one for player in self.r[h][s] for one in player]
        base = np.array([one["base"] for one in flat])
        if self.rewards == "affine":
            return AffinePayoffs(base, np.array([one["slope"] for one in flat]))
        if self.rewards == "curves":
            curves, scale = [one["curve"] for one in flat], [one["scale"] for one in flat]
            coordinate = [one["coordinate"] for one in flat]
            return CurvePayoffs(flat[0]["nodes"], curves, np.arange(len(flat)), coordinate, scale, base, self.d)
        slope, phase = np.array([one["slope"] for one in flat]), np.array([one["phase"] for one in flat])

        def wave(columns, x):
            return base[columns] + 0.4 * np.sin(phase[columns] + np.einsum("kd,kd->k", slope[columns], x))

        return CallablePayoffs(wave, 0.4 * np.abs(slope).sum(axis=1), len(flat), self.d)

    def _transitions(self):
        def table(name):
            return np.array([[one[name] for one in step] for step in self.p])

        if self.transitions == "constant":
            return ConstantTransitions(table("low"))
        if self.transitions == "softmax":
            return SoftmaxTransitions(table("low"), table("rows"))
        if self.transitions == "mixture":
            return MixtureTransitions(table("low"), table("high"), table("base"), table("slope"))
        low, high, base, slope = (table(name) for name in ("low", "high", "base", "slope"))

        def between(h, s, x):
            share = (0.5 + 0.5 * np.sin(base[h, s] + x @ slope[h, s]))[:, None]
            return (1 - share) * low[h, s] + share * high[h, s]

        gamma = 0.5 * np.abs(slope).sum(axis=2) * 0.5 * np.abs(low - high).sum(axis=2)
        return CallableTransitions(between, gamma, self.S, self.d, self.H)


def _interpolated(nodes, curve, y):
    for k in range(len(nodes) - 1):
        if y <= nodes[k + 1] or k == len(nodes) - 2:
            part = (y - nodes[k]) / (nodes[k + 1] - nodes[k])
            return (1 - part) * curve[k] + part * curve[k + 1]
    raise AssertionError


def tiny_game(seed: int) -> TinyGame:
    """1 to 4 players with 1 to 3 actions each, 1 to 3 states and steps, 1 or 2 coordinates; every pair of families in turn."""
    rng = np.random.default_rng([seed, 77])
    rewards, transitions = REWARDS[seed % 3], TRANSITIONS[seed // 3 % 4]
    while True:
        n, S, H, d = (int(rng.integers(1, most + 1)) for most in (4, 3, 3, 2))
        m = rng.integers(1, 4, n).tolist()
        if max(m) ** (S * H) <= MOST_PLANS:
            break
    size, steep = float(rng.choice([0.3, 1.0, 3.0])), float(rng.choice([0.2, 1.0]))
    g = [[[rng.random(d).tolist() for _ in range(k)] for k in m] for _ in range(H)]
    g = [[[[value / n for value in one] for one in player] for player in step] for step in g]
    w = [[[rng.random(k).tolist() for k in m] for _ in range(S)] for _ in range(H)]
    nodes = np.linspace(-0.01, 1.01, 5).tolist()

    def reward():
        one = {"base": float(rng.random()), "slope": rng.uniform(-size, size, d).tolist(), "phase": float(rng.uniform(0, 6))}
        one |= {"nodes": nodes, "curve": rng.random(5).tolist(), "scale": float(rng.uniform(-size, size))}
        return one | {"coordinate": int(rng.integers(0, d))}

    def transition():
        low, high = rng.dirichlet(np.ones(S)).tolist(), rng.dirichlet(np.ones(S)).tolist()
        one = {"base": float(rng.uniform(0, 1)), "slope": rng.uniform(-steep, steep, d).tolist(), "low": low, "high": high}
        return one | {"rows": rng.uniform(-2 * steep, 2 * steep, (S, d)).tolist()}

    r = [[[[reward() for _ in range(k)] for k in m] for _ in range(S)] for _ in range(H)]
    p = [[transition() for _ in range(S)] for _ in range(H)]
    return TinyGame(m, S, H, d, rewards, transitions, g, w, r, p, rng.dirichlet(np.ones(S)).tolist())


def random_actions(tiny: TinyGame, seed: int) -> np.ndarray:
    """(H, S, n) a pure profile at random."""
    rng = np.random.default_rng([seed, 78])
    return rng.integers(0, tiny.m, (tiny.H, tiny.S, len(tiny.m)))
