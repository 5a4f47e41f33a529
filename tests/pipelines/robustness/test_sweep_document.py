"""noise.json: every figure of a sweep, as version 0.1.0 wrote it (tests/data/v0_1_0/README.md)."""

from pathlib import Path

from pipelines.robustness.counts import read_counts
from pipelines.robustness.curves import curves
from pipelines.robustness.sweep_document import SweepDocument, sweep_document
from pointsam.base.document import document_bytes, read_document

OLD = Path(__file__).parents[2] / "data" / "v0_1_0" / "noise"


def test_the_document_of_0_1_0_opens_and_is_written_as_it_was():
    document = read_document(OLD / "noise.json", SweepDocument, ValueError)
    assert document_bytes(document, indent=1, sort_keys=False) == (OLD / "noise.json").read_bytes()


def test_a_sweep_of_0_1_0_has_the_same_document_today():
    counts = read_counts(OLD)
    assert sweep_document(counts, curves(counts)) == read_document(OLD / "noise.json", SweepDocument, ValueError)
