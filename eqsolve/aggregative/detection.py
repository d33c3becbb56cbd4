r"""Reading a concave potential off the payoffs of a game, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.payoffs import AffinePayoffs, PolynomialPayoffs
from eqsolve.aggregative.potential import NoPotential, Potential
from eqsolve.aggregative.programs import influence_unit
from eqsolve.aggregative.shapes import Curves, Powers, Quadratic
from eqsolve.aggregative.tables import CurvePayoffs
from eqsolve.arrays import BoolArray, FloatArray, IntArray

SAME = 1e-9
"""Relative deviation that counts as rounding."""
AT_ONCE = 4_000_000
"""Numbers that a check over many types holds at once."""
DECLARE = "FixedPointNash takes any payoffs; a potential that you know goes into PotentialNash(potential=Potential(...))."


def find_potential(game: AggregativeGame) -> Potential:
    r"""The potential of a game's mean-field version, found exactly where the family of payoffs shows it.

    Affine payoffs: weights kappa_t > 0 and a symmetric A, negative semidefinite on the differences of attainable aggregators,
    with :math:`slope_{tj} - slope_{tl} = \kappa_t A (g_{tj} - g_{tl})` there. Curves, and polynomials whose monomials read one
    coordinate each: one falling function F_k for each coordinate, with the part of u_tj - u_tl that reads x_k equal to
    :math:`\kappa_t (g^k_{tj} - g^k_{tl}) F_k`, constants aside.

    Raises
    ------
    NoPotential : there is none, or none that is concave; the message names the type, column or coordinate. Or the payoffs are
        of a family that does not show it, and the potential has to be declared.
    """
    payoff = game.payoff
    if isinstance(payoff, AffinePayoffs):
        return _affine(game, payoff.slope)
    if isinstance(payoff, PolynomialPayoffs):
        if payoff.powers.sum(axis=1).max(initial=0) <= 1:
            linear = payoff.powers.sum(axis=1) == 1
            return _affine(game, payoff.coefficient[:, linear] @ payoff.powers[linear].astype(float))
        return _separable(game, _Monomials(game, payoff))
    if isinstance(payoff, CurvePayoffs):
        return _separable(game, _Tables(game, payoff))
    raise NoPotential(f"a potential cannot be read off payoffs of the family {type(payoff).__name__}", DECLARE)


def _from_first(game: AggregativeGame, values: FloatArray) -> FloatArray:
    """Differences to the first action of the type."""
    return values - values[game.offsets[game.owner]]


def _affine(game: AggregativeGame, slope: FloatArray) -> Potential:
    """kappa and A by linear algebra.

    With theta = 1 / kappa the conditions theta_t S_t = D_t A are linear in (theta, A); theta is eliminated type by type, which
    leaves a space of matrices A. Where it has several dimensions, the matrices agree up to a positive factor on each of some
    subspaces that the types divide between them, so that the A nearest to kappa = 1 is right as soon as any is.
    """
    unit = influence_unit(game)
    g = _from_first(game, game.contribution / unit)
    basis = _span(g)
    D, S = g @ basis, _from_first(game, slope * unit) @ basis
    size = game.reduce(np.maximum, np.abs(S).max(axis=1, initial=0.0))
    S[np.abs(S) <= SAME * size.max(initial=0.0) * 1e-3] = 0.0
    at = (game.contribution[game.offsets[:-1]] * game.players[:, None]).sum(axis=0)
    if not S.any():
        kappa, A = np.ones(game.n_types), np.zeros((basis.shape[1],) * 2)
    else:
        kappa, A = _weights(game, D, S, _common_space(game, D, S))
    values, vectors = np.linalg.eigh(A) if A.size else (np.zeros(0), A)
    if values.max(initial=0.0) > SAME * np.abs(values).max(initial=0.0):
        k = int(np.argmax(np.abs(basis @ vectors[:, -1])))
        name = game.coordinates[k] if game.coordinates else str(k)
        raise NoPotential(
            f"the potential is not concave: its matrix has the eigenvalue {values[-1]:.4g}, mostly along coordinate {name}",
            "Payoffs rise with the load there, so that its maximum is not the only kind of equilibrium; take FixedPointNash.",
        )
    whole = (basis / unit[:, None]) @ A @ (basis / unit[:, None]).T
    whole = (whole + whole.T) / 2
    return Potential(Quadratic(whole, -whole @ at), kappa, game.payoff.batch(at[None, :])[0])


def _span(g: FloatArray) -> FloatArray:
    """An orthonormal basis (d, r) of the directions (N, d) in which the aggregator can move."""
    _, singular, right = np.linalg.svd(g, full_matrices=False)
    basis: FloatArray = right[singular > 1e-11 * max(float(singular.max(initial=0.0)), 1e-300)].T
    return np.eye(len(basis)) if basis.shape[0] == basis.shape[1] else basis


def _chunks(game: AggregativeGame, columns: int) -> Iterator[tuple[int, int]]:
    """Ranges of types, few at first and then more, of at most so many columns (but one type at least)."""
    t, size = 0, 1
    while t < game.n_types:
        stop = min(game.n_types, t + size)
        most = int(np.searchsorted(game.offsets, game.offsets[t] + columns, side="right")) - 1
        stop = max(t + 1, min(stop, most))
        yield t, stop
        t, size = stop, 2 * size


def _common_space(game: AggregativeGame, D: FloatArray, S: FloatArray) -> FloatArray:
    """A basis (R, r, r) of the symmetric matrices A for which D_t A is a multiple of S_t for every type.

    Raises
    ------
    NoPotential : only 0 is left.
    """
    r = D.shape[1]
    low, high = np.tril_indices(r)
    space = np.zeros((len(low), r, r))
    space[np.arange(len(low)), low, high] = space[np.arange(len(low)), high, low] = np.where(low == high, 1.0, np.sqrt(0.5))
    for first, last in _chunks(game, max(1, AT_ONCE // max(1, len(low) * r))):
        t = first
        while t < last:
            bad = _violating(game, D, S, space, t, last)
            if bad is None:
                break
            t = bad
            a, b = game.offsets[t], game.offsets[t + 1]
            rest = _apart(D[a:b], S[a:b], space).reshape(len(space), -1)
            _, singular, right = np.linalg.svd(rest.T, full_matrices=True)
            rank = int((singular > SAME * np.linalg.norm(D[a:b])).sum())
            space = np.einsum("qR,Rij->qij", right[max(rank, 1) :], space)
            if not len(space):
                raise NoPotential(
                    f"there is no potential: the slopes of {game.type_label(t)} are not kappa times one symmetric matrix "
                    "times its contributions, for any matrix that fits the types before it",
                    DECLARE,
                )
            t += 1
    return space


def _apart(D: FloatArray, S: FloatArray, space: FloatArray) -> FloatArray:
    """D A minus its part along S, (R, m, r), for one type."""
    image = np.einsum("mi,Rij->Rmj", D, space)
    norm = float((S**2).sum())
    if norm == 0.0:
        return np.asarray(image)
    return np.asarray(image - np.einsum("R,mj->Rmj", np.einsum("Rmj,mj->R", image, S) / norm, S))


def _violating(game: AggregativeGame, D: FloatArray, S: FloatArray, space: FloatArray, first: int, last: int) -> int | None:
    """The first of the types ``first..last-1`` that some matrix of the space does not fit."""
    a, b = game.offsets[first], game.offsets[last]
    starts = game.offsets[first:last] - a
    owner = game.owner[a:b] - first
    image = np.einsum("ci,Rij->Rcj", D[a:b], space)
    along = np.add.reduceat(np.einsum("Rcj,cj->Rc", image, S[a:b]), starts, axis=1)
    norm = np.add.reduceat((S[a:b] ** 2).sum(axis=1), starts)
    factor = np.divide(along, norm, out=np.zeros_like(along), where=norm > 0)
    off = image - factor[:, owner, None] * S[a:b]
    worst = np.sqrt(np.add.reduceat((off**2).sum(axis=2), starts, axis=1).max(axis=0, initial=0.0))
    bad = worst > 10 * SAME * np.sqrt(np.add.reduceat((D[a:b] ** 2).sum(axis=1), starts))
    return first + int(np.argmax(bad)) if bad.any() else None


def _weights(game: AggregativeGame, D: FloatArray, S: FloatArray, space: FloatArray) -> tuple[FloatArray, FloatArray]:
    """kappa (T,) and A (r, r): the matrix of the space nearest to kappa = 1.

    Raises
    ------
    NoPotential : a type would have a weight that is not positive.
    """
    image = np.stack([D @ one for one in space])
    normal = np.einsum("Rcj,Qcj->RQ", image, image)
    A = np.tensordot(np.linalg.lstsq(normal, np.einsum("Rcj,cj->R", image, S), rcond=1e-13)[0], space, axes=1)
    reach = D @ A
    norm = game.reduce(np.add, (S**2).sum(axis=1))
    along = game.reduce(np.add, (reach * S).sum(axis=1))
    own = np.sqrt(norm * game.reduce(np.add, (D**2).sum(axis=1))) * max(float(np.linalg.norm(A)), 1e-300)
    bad = (norm > 0) & (along <= SAME * own)
    if bad.any():
        t = int(np.argmax(bad))
        still = not np.abs(D[game.offsets[t] : game.offsets[t + 1]]).any()
        why = "reacts by actions that contribute the same" if still else "would have a weight that is not positive"
        raise NoPotential(f"there is no potential: {game.type_label(t)} {why}", DECLARE)
    theta = np.where(norm > 0, along / np.where(norm > 0, norm, 1.0), 1.0)
    return 1.0 / theta, A


class _Tables:
    """The parts of curves: values at the nodes within the range, relative to the lower end."""

    def __init__(self, game: AggregativeGame, payoff: CurvePayoffs) -> None:
        self.game, self.payoff = game, payoff

    def points(self, k: int) -> FloatArray:
        """The ends of the range and the nodes between."""
        low, high, nodes = self.game.lower[k], self.game.upper[k], self.payoff.nodes
        return np.concatenate(([low], nodes[(nodes > low) & (nodes < high)], [high]))

    def reads(self, k: int) -> BoolArray:
        """(N,) the columns that read x_k."""
        return np.asarray((self.payoff.coordinate == k) & (self.payoff.scale != 0.0))

    def part(self, k: int, columns: IntArray) -> FloatArray:
        """(C, E) the part of some columns that reads x_k."""
        payoff = self.payoff
        table = np.array([np.interp(self.points(k), payoff.nodes, curve) for curve in payoff.curves])
        own = np.where(self.reads(k)[columns], payoff.scale[columns], 0.0)
        return np.asarray(own[:, None] * (table[:, 1:] - table[:, :1])[payoff.curve[columns]])

    def mixed(self) -> tuple[int, str] | None:
        """No column reads two coordinates."""
        return None

    def shape(self, F: list[FloatArray]) -> Curves:
        """F_k by its values at the points, 0 at the lower end."""
        game, nodes, values = self.game, [], []
        for k, f in enumerate(F):
            at = self.points(k) if game.upper[k] > game.lower[k] else game.lower[k] + np.array([0.0, 1.0])
            value = np.concatenate(([0.0], f if game.upper[k] > game.lower[k] else [0.0]))
            rise = np.diff(value)
            if rise.max() > SAME * max(float(np.abs(value).max()), 1e-300):
                s = int(np.argmax(rise))
                raise _not_concave(game, k, at[s], at[s + 1])
            nodes.append(at)
            values.append(np.minimum.accumulate(value))
        return Curves(tuple(nodes), tuple(values))


class _Monomials:
    """The parts of polynomials: coefficients of the powers of one coordinate, in units of the coordinate's range."""

    def __init__(self, game: AggregativeGame, payoff: PolynomialPayoffs) -> None:
        self.game, self.payoff = game, payoff
        self.size = np.maximum(np.maximum(np.abs(game.lower), np.abs(game.upper)), 1e-300)
        moving = payoff.powers * (game.upper > game.lower)
        self.factors = (moving > 0).sum(axis=1)
        self.moving = moving
        # A coordinate that cannot move is a constant factor.
        still = np.where(game.upper > game.lower, 1.0, game.lower)
        self.factor = (still ** (payoff.powers - moving)).prod(axis=1)

    def own(self, k: int) -> IntArray:
        """The monomials of x_k alone."""
        return np.flatnonzero((self.factors == 1) & (self.moving[:, k] > 0))

    def reads(self, k: int) -> BoolArray:
        """(N,) the columns that read x_k."""
        return np.asarray((self.payoff.coefficient[:, self.own(k)] != 0.0).any(axis=1))

    def part(self, k: int, columns: IntArray) -> FloatArray:
        """(C, P) the coefficients of x_k, x_k^2, ... of some columns."""
        found = np.zeros((len(columns), int(self.payoff.powers.max(initial=1))))
        for e in self.own(k):
            p = int(self.moving[e, k])
            found[:, p - 1] += self.payoff.coefficient[columns, e] * self.factor[e] * self.size[k] ** p
        return found

    def mixed(self) -> tuple[int, str] | None:
        """The first column whose difference to its type's first reads two coordinates in one monomial."""
        many = np.flatnonzero(self.factors > 1)
        off = _from_first(self.game, self.payoff.coefficient[:, many])
        bad = np.abs(off) > SAME * np.abs(self.payoff.coefficient[:, many]).max(initial=0.0)
        if not bad.any():
            return None
        c, e = (int(one) for one in np.argwhere(bad)[0])
        names = [str(k) for k in np.flatnonzero(self.moving[many[e]])]
        return c, f"a product of the coordinates {' and '.join(names)}"

    def shape(self, F: list[FloatArray]) -> Powers:
        """F_k by its coefficients."""
        game = self.game
        P = max((len(f) for f in F), default=1)
        coefficient = np.zeros((game.n_coordinates, P + 1))
        for k, f in enumerate(F):
            if game.upper[k] <= game.lower[k]:
                continue
            scaled = np.concatenate(([0.0], f))
            steep = np.polynomial.Polynomial(scaled).deriv()
            ends = np.array([game.lower[k], game.upper[k]]) / self.size[k]
            turns = steep.deriv().roots() if steep.degree() > 1 else np.zeros(0)
            inner = turns[np.abs(turns.imag) < 1e-9].real
            at = np.concatenate((ends, inner[(inner > ends[0]) & (inner < ends[1])]))
            rise = steep(at)
            if rise.max() > SAME * max(float(np.abs(steep.coef).sum()), 1e-300):
                top = float(at[np.argmax(rise)] * self.size[k])
                raise _not_concave(game, k, top, top)
            coefficient[k] = scaled / self.size[k] ** np.arange(P + 1)
        return Powers(coefficient)


def _not_concave(game: AggregativeGame, k: int, low: float, high: float) -> NoPotential:
    name = game.coordinates[k] if game.coordinates else str(k)
    where = f"at x = {low:.4g}" if low == high else f"between x = {low:.4g} and {high:.4g}"
    return NoPotential(
        f"the potential is not concave: payoffs rise with coordinate {name} {where}",
        "Its maximum is not the only kind of equilibrium then; take FixedPointNash.",
    )


def _separable(game: AggregativeGame, family: _Tables | _Monomials) -> Potential:
    """One function F_k for each coordinate, and weights kappa_t with kappa_t s_k = the ratios seen in the payoffs."""
    mixed = family.mixed()
    if mixed is not None:
        raise NoPotential(f"no separable potential: the payoff of {game.column_label(mixed[0])} holds {mixed[1]}", DECLARE)
    T, d = game.n_types, game.n_coordinates
    ratio, linked = np.zeros((T, d)), np.zeros((T, d), dtype=bool)
    form: list[FloatArray] = []
    for k in range(d):
        if game.upper[k] <= game.lower[k]:
            form.append(np.zeros(1))
            continue
        f, ratio[:, k], linked[:, k] = _one_coordinate(game, k, family)
        form.append(f)
    kappa, s = _rank_one(game, ratio, linked)
    shape = family.shape([scale * f for scale, f in zip(s, form, strict=True)])
    low = game.lower
    base = game.payoff.batch(low[None, :])[0] - kappa[game.owner] * (game.contribution @ shape.gradient(low))
    return Potential(shape, kappa, base)


def _one_coordinate(game: AggregativeGame, k: int, family: _Tables | _Monomials) -> tuple[FloatArray, FloatArray, BoolArray]:
    """The direction f (E,) of F_k, the ratios kappa_t s_k (T,), and which types can move the coordinate (T,)."""
    first = game.offsets[game.owner]
    reads = family.reads(k)
    columns = np.flatnonzero(reads | reads[first])
    part = family.part(k, columns) - family.part(k, first[columns])
    norm = np.linalg.norm(part, axis=1)
    g = _from_first(game, game.contribution[:, k])
    top = game.reduce(np.maximum, np.abs(g))
    linked = top > 1e-12 * np.abs(game.contribution[:, k]).max()
    if not norm.any():
        return np.zeros(part.shape[1]), np.zeros(game.n_types), linked
    large = part[norm > SAME * norm.max()]
    units = large / np.linalg.norm(large, axis=1, keepdims=True)
    units *= np.where(units @ part[int(np.argmax(norm))] < 0, -1.0, 1.0)[:, None]
    # The median, so that a single column that does not fit is the one that the message names.
    f = np.median(units, axis=0)
    f = f / np.linalg.norm(f) if f.any() else units[0]
    along = part @ f
    off = np.linalg.norm(part - along[:, None] * f, axis=1)
    _refuse(game, k, columns[off > SAME * norm + 1e-13 * norm.max()], "follows another curve than its other payoffs that read it")
    amount = np.zeros(game.n_columns)
    amount[columns] = along
    square = game.reduce(np.add, g**2)
    ratio = np.where(linked, game.reduce(np.add, g * amount) / np.where(linked, square, 1.0), 0.0)
    allowed = SAME * game.reduce(np.maximum, np.abs(amount)) + 1e-13 * norm.max()
    off = np.abs(amount - ratio[game.owner] * g)
    _refuse(game, k, np.flatnonzero(off > allowed[game.owner]), "is not in proportion to its contribution")
    return f, ratio, linked


def _refuse(game: AggregativeGame, k: int, columns: IntArray, why: str) -> None:
    if len(columns):
        c = int(columns[0])
        name = game.coordinates[k] if game.coordinates else str(k)
        raise NoPotential(f"no separable potential: how {game.column_label(c)} reacts to coordinate {name} {why}", DECLARE)


def _rank_one(game: AggregativeGame, ratio: FloatArray, linked: BoolArray) -> tuple[FloatArray, FloatArray]:
    """kappa (T,) > 0 and s (d,) with kappa_t s_k = ratio_tk wherever a type can move a coordinate.

    Types and coordinates hang together in groups; in each, one scale is free and makes the median of kappa 1 over the first
    coordinate's types. Medians let a single type that does not fit be the one that the message names.

    Raises
    ------
    NoPotential : the ratios of a type contradict those of others.
    """
    T, d = ratio.shape
    size = np.abs(ratio).max(axis=0, initial=0.0)
    zero = linked & (np.abs(ratio) <= SAME * size)
    kappa, s = np.full(T, np.nan), np.zeros(d)
    open_ = [k for k in range(d) if size[k] > 0]
    for k in open_:
        own = linked[:, k]
        sign = np.sign(ratio[own, k].sum())
        wrong = own & (zero[:, k] | (np.sign(ratio[:, k]) != sign))
        if wrong.any():
            _contradiction(game, int(np.argmax(wrong)), k, "reacts to it otherwise than the other types")
    while open_:
        known = [k for k in open_ if (linked[:, k] & ~np.isnan(kappa)).any()]
        k = known[0] if known else open_[0]
        own = linked[:, k]
        seen = own & ~np.isnan(kappa)
        magnitude = np.abs(ratio[seen, k] / kappa[seen]) if seen.any() else np.abs(ratio[own, k])
        s[k] = np.sign(ratio[own, k][0]) * np.median(magnitude)
        kappa[own & ~seen] = ratio[own & ~seen, k] / s[k]
        open_.remove(k)
    kappa[np.isnan(kappa)] = 1.0
    off = linked & (np.abs(ratio - kappa[:, None] * s) > 10 * SAME * np.abs(ratio))
    if off.any():
        t, k = (int(one) for one in np.argwhere(off)[0])
        _contradiction(game, t, k, "weighs it otherwise, against the other coordinates, than the types before it")
    return kappa, s


def _contradiction(game: AggregativeGame, t: int, k: int, why: str) -> None:
    name = game.coordinates[k] if game.coordinates else str(k)
    raise NoPotential(f"there is no potential: with coordinate {name}, {game.type_label(t)} {why}", DECLARE)
