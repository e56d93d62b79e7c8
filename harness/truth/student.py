"""Student's distribution without SciPy, of which loading alone takes a third of a second.

A first guess by Hill (1970), Algorithm 396, Communications of the ACM 13(10), 619-620, is refined by steps of Newton's
method with the second derivative (Halley's). The distribution itself is the incomplete beta function by the continued
fraction of Didonato and Morris (1992), Algorithm 708, ACM Transactions on Mathematical Software 18(3), 360-373, which
loses no digits with many degrees of freedom, as DLMF 8.17.22 does; evaluated by Lentz's method as Thompson and Barnett
(1986) changed it.
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

_CAUCHY, _TWO = 1.0, 2.0
_ROUNDING = 1e-9
"""By how much degrees of freedom that are worked out may be less than 1."""
_ASYMPTOTIC_FROM = 50.0
_EPSILON = 2.0**-52
_MOST_TERMS = 10_000
_MOST_STEPS = 20
_MIDDLE = 0.45
_SERIES = (1, -1 / 8, 1 / 128, 5 / 1024, -21 / 32768, -399 / 262144, 869 / 4194304)
"""Γ(a + 1/2) / (Γ(a) √a) as a series in 1 / a."""
_NEAR = 1e-6
"""A step that is this small, relative to the quantile, leaves an error of its third power."""


@cache
def quantile(freedom: float, probability: float) -> float:
    """Return below which value Student's t with so many degrees of freedom (1 or more) lies with a probability.

    Its relative error is below 1e-12 for probabilities from 1e-9 to 1 - 1e-9.

    Raises:
        ValueError: less than 1 degree of freedom, or a probability outside 0 to 1.
    """
    if not (freedom >= _CAUCHY - _ROUNDING and 0 < probability < 1):
        raise ValueError(f"no quantile of {probability} with {freedom} degrees of freedom")
    if probability == 0.5:  # noqa: PLR2004 - the middle
        return 0.0
    tail = min(probability, 1 - probability)
    # Near the middle, where the density hardly changes, its height says more than Hill's algorithm.
    t = _guess(freedom, 2 * tail) if tail < _MIDDLE else (0.5 - tail) / _density(freedom, 0.0)
    for _ in range(_MOST_STEPS):
        step = _excess(freedom, t, tail) / _density(freedom, t)
        step *= 1 + step * t * (freedom + 1) / (2 * (t * t + freedom))
        t = max(t + step, t / 2)
        if abs(step) <= _NEAR * t:
            break
    return math.copysign(t, probability - 0.5)


def _guess(n: float, both_tails: float) -> float:
    """Return beyond which t about so much lies on both sides together: Hill's algorithm, in its own letters."""
    if n <= _CAUCHY:
        return 1 / math.tan(both_tails * math.pi / 2)
    if n == _TWO:
        return math.sqrt(2 / (both_tails * (2 - both_tails)) - 2)
    a = 1 / (n - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * n
    y = (d * both_tails) ** (2 / n)
    if y > 0.05 + a:
        x = NormalDist().inv_cdf(both_tails / 2)
        y = x * x
        if n < 5:  # noqa: PLR2004 - Hill's
            c += 0.3 * (n - 4.5) * (x + 0.6)
        c += (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = math.expm1(a * y * y)
    else:
        y = ((1 / (((n + 6) / (n * y) - 0.089 * d - 0.822) * (n + 2) * 3) + 0.5 / (n + 4)) * y - 1) * (n + 1) / (
            n + 2
        ) + 1 / y
    return math.sqrt(n * y)


def _excess(freedom: float, t: float, tail: float) -> float:
    """Return by how much more than `tail` lies above t."""
    half, odds = freedom / 2, t * t / freedom
    beyond, within = 1 / (1 + odds), odds / (1 + odds)
    front = math.exp(-half * math.log1p(odds)) * math.sqrt(within) * _over_beta(half)
    if half * within > 0.5 * beyond:
        return front / 2 / _fraction(half, 0.5, beyond, within) - tail
    return (0.5 - tail) - front / 2 / _fraction(0.5, half, within, beyond)


def _density(freedom: float, t: float) -> float:
    power = math.exp(-(freedom + 1) / 2 * math.log1p(t * t / freedom))
    return _over_beta(freedom / 2) * power / math.sqrt(freedom)


@cache
def _over_beta(a: float) -> float:
    """Return 1 / B(a, 1/2), of which the quotient of gamma functions is Γ(a + 1/2) / Γ(a).

    For large a that is a series in 1 / a (DLMF 5.11.13): differences of their logarithms would lose too many digits.
    """
    if a < _ASYMPTOTIC_FROM:
        return math.gamma(a + 0.5) / math.gamma(a) / math.sqrt(math.pi)
    return math.sqrt(a / math.pi) * sum(part / a**power for power, part in enumerate(_SERIES))


def _fraction(a: float, b: float, x: float, y: float) -> float:
    """Return the continued fraction of BFRAC in Algorithm 708, for y = 1 - x and x of at most a / (a + b).

    What is multiplied in front of its reciprocal to get the incomplete beta function is x**a * y**b / B(a, b).
    """
    excess = a * y - b * x + 1
    value = c = a * excess / (a + 1)
    d = 0.0
    for n in range(1, _MOST_TERMS):
        over = a + 2 * n - 1
        numerator = (a + n - 1) * (a + b + n - 1) * n * (b - n) * (x / over) ** 2
        denominator = n + n * (b - n) * x / over + (a + n) * (excess + n * (1 + y)) / (over + 2)
        d = 1 / (denominator + numerator * d)
        c = denominator + numerator / c
        value *= c * d
        if abs(c * d - 1) <= _EPSILON:
            break
    return value
