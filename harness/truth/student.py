"""Student's distribution, from SciPy, which is loaded by the first who computes: that takes a third of a second."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache


@cache
def _stdtrit() -> Callable[[float, float], float]:
    from scipy.special import stdtrit  # noqa: PLC0415 - see above; scipy.stats takes three times as long

    return lambda freedom, probability: float(stdtrit(freedom, probability))


def quantile(freedom: float, probability: float) -> float:
    """Return below which value Student's t with so many degrees of freedom lies with a probability."""
    return _stdtrit()(freedom, probability)
