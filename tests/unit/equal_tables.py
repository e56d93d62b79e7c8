"""Tables that are to be equal."""

from __future__ import annotations

import numpy as np

from harness.report.tables import Table


def assert_equal(found: Table, expected: Table) -> None:
    """Compare columns by what is in them: values may be in any order beside their codes."""
    assert {*found.words} == {*expected.words}
    for name, words in expected.words.items():
        assert found.words[name].tolist() == words.tolist(), name
        assert {*found.words[name].values} == {*words.values}, name
    for own, others in ((found.whole, expected.whole), (found.figures, expected.figures)):
        assert {*own} == {*others}
        for name, column in others.items():
            assert own[name].dtype == column.dtype, name
            np.testing.assert_array_equal(own[name], column, name)
