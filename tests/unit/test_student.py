"""Student's quantile against SciPy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import betainc, stdtrit

from harness.truth import student
from harness.truth.student import quantile

FREEDOMS = [*range(1, 31), *np.geomspace(1, 1e6, 61).tolist(), 1.0001, 1.9999, 2.0001, 4.9, 5.1, 99.9, 100.1]
TAILS = [*np.geomspace(1e-9, 0.48, 60).tolist(), 0.05, 0.025, 0.005]
PROBABILITIES = [*TAILS, *(1 - tail for tail in TAILS)]


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_quantile_is_that_of_scipy(freedom: float) -> None:
    expected = stdtrit(freedom, np.array(PROBABILITIES))
    found = [quantile(freedom, probability) for probability in PROBABILITIES]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_quantile_is_right_near_the_middle(freedom: float) -> None:
    """Where stdtrit itself is off by up to 4e-5: as much lies within as has to."""
    for share in (*np.geomspace(1e-9, 0.03, 20).tolist(), 0.1, 0.2):
        middle = (0.5 + share) - 0.5
        t = quantile(freedom, 0.5 + share)
        assert betainc(0.5, freedom / 2, t * t / (freedom + t * t)) / 2 == pytest.approx(middle, rel=1e-12), share
        assert quantile(freedom, 0.5 - middle) == -t


def test_quantiles_that_are_known_by_heart() -> None:
    assert quantile(1, 0.75) == pytest.approx(1, rel=1e-14)
    assert quantile(1, 1e-9) == pytest.approx(-1 / math.tan(1e-9 * math.pi), rel=1e-14)
    assert quantile(2, 0.75) == pytest.approx(math.sqrt(2 / 3), rel=1e-14)
    assert quantile(5, 0.975) == pytest.approx(2.5705818356363, rel=1e-12)
    assert quantile(4, 0.499999) == pytest.approx(-2.6666666666e-6, rel=1e-9)
    assert quantile(1 - 2**-52, 0.975) == pytest.approx(quantile(1, 0.975), rel=1e-14), "rounded"
    assert quantile(17, 0.5) == 0


@pytest.mark.parametrize(("freedom", "probability"), [(0.5, 0.9), (math.nan, 0.9), (5, 0.0), (5, 1.0), (5, math.nan)])
def test_what_has_no_quantile_is_refused(freedom: float, probability: float) -> None:
    with pytest.raises(ValueError, match="no quantile of"):
        quantile(freedom, probability)


@pytest.mark.parametrize(
    ("freedom", "off"),
    [
        *((1, 1e-10), (1.5, 2.2e-2), (2, 1e-10), (2.5, 4.5e-5), (3, 9e-7), (4, 4.5e-7), (4.9, 3.5e-6), (5, 4e-6)),
        *((7, 2.8e-6), (12, 7e-7), (30, 1.2e-8), (200, 5e-12), (1000.0, 4e-12)),
    ],
)
def test_hills_algorithm_comes_as_near_as_it_does(freedom: float, off: float) -> None:
    """Steps from there on would mend a bad beginning, too, and take longer."""
    for both_tails in (0.5, 0.3, 0.2, 0.05, 0.01, 0.001, 1e-6):
        exact = quantile(freedom, 1 - both_tails / 2)
        assert student._guess(freedom, both_tails) == pytest.approx(exact, rel=off), both_tails
