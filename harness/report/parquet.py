"""A result as Parquet: the columns of its CSV with their types, and run.json in the file's own metadata."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from harness.report.notes import text_of
from harness.report.records import Record
from harness.results.meta import RunMeta

METADATA = b"vxlan_harness"
"""Key of the file's metadata: an object of run.json by what each run is here."""
_WHOLE = frozenset(
    "blocks replies setups blocks_to_tell setups_to_tell lost samples_a samples_b samples_to_tell trials runs".split()
)
_WORDS = frozenset(
    (
        "contrast profile baseline measure baseline_cell metric unit ceiling_verdict verdict notes basis sample client "
        "server"
    ).split()
)


def parquet(
    records: Sequence[Record], columns: Sequence[str], factors: Sequence[str], metas: Mapping[str, RunMeta]
) -> bytes:
    """Return records as Parquet. Types follow from the columns, so that files of several runs can be read as one.

    A factor is a whole number where every level of it is one, else text.
    """
    rows = [{name: _plain(record.get(name)) for name in columns} for record in records]
    types = {name: _type(name, [row[name] for row in rows], is_factor=name in factors) for name in columns}
    for row in rows:
        row |= {name: str(row[name]) for name in factors if types[name] == pa.string() and row[name] is not None}
    runs = json.dumps({name: meta.to_json() for name, meta in metas.items()}, default=str)
    schema = pa.schema(list(types.items()), metadata={METADATA: runs.encode()})
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)
    return file.getvalue()


def _plain(value: object) -> object:
    return text_of(value) if isinstance(value, tuple) else value


def _type(name: str, values: Sequence[object], *, is_factor: bool) -> pa.DataType:
    known = [value for value in values if value is not None]
    if name in _WORDS or any(isinstance(value, str) for value in known):
        return pa.string()
    if name in _WHOLE or (is_factor and all(isinstance(value, int) for value in known)):
        return pa.int64()
    return pa.float64()
