"""The table and the JSON values of the clusters of a frame."""

import json
from dataclasses import replace

import numpy as np
from helpers.commands import label
from helpers.store_samples import frame_labels

from pipelines.review.inspect import FrameSummary
from pointsam.base.tables import format_value
from pointsam.store.reader import Labels


def test_the_table_names_what_refinement_took_and_growth_added():
    summary = FrameSummary(frame_labels("f0"))
    head, titles, _, *rows = summary.text().splitlines()
    assert head.startswith("frame f0, scene one, 20 points, 3 clusters; ")
    at = [titles.split().index(name) for name in ("points", "cut", "grown")]
    clusters = summary.found.clusters
    assert [[int(row.split()[k]) for k in at] for row in rows] == [
        [c.num_points, c.num_points_cut, c.num_points_grown] for c in clusters
    ]
    assert [c.num_points_grown for c in clusters] == [0, 2, 4]


def test_the_table_has_the_probability_and_not_the_confidence():
    summary = FrameSummary(frame_labels("f0"))
    _, titles, _, *rows = summary.text().splitlines()
    assert "prob" in titles.split()
    for row, cluster in zip(rows, summary.found.clusters, strict=True):
        assert format_value(cluster.probability) in row.split()
        assert format_value(cluster.confidence) not in row.split()


def test_json_has_null_for_what_former_labels_lack():
    found = frame_labels("f0")
    former = tuple(replace(c, score=np.nan, probability=float("nan")) for c in found.clusters)
    document = FrameSummary(replace(found, clusters=former)).as_dict()
    read = json.loads(json.dumps(document, allow_nan=False))
    for row, cluster in zip(read["clusters"], former, strict=True):
        assert (row["score"], row["probability"]) == (None, None)
        assert row["num_points_grown"] == cluster.num_points_grown
        assert row["confidence"] == cluster.confidence


def test_the_picture_shows_grown_points(out, tmp_path, monkeypatch):
    plain = Labels.labels

    def grown(self, frame_id):
        found = plain(self, frame_id)
        return replace(found, grown=found.labels.instance_id >= 0)

    assert label("inspect", out, 0, "--png", tmp_path / "plain.png").exit_code == 0
    monkeypatch.setattr(Labels, "labels", grown)
    assert label("inspect", out, 0, "--png", tmp_path / "grown.png").exit_code == 0
    assert (tmp_path / "plain.png").read_bytes() != (tmp_path / "grown.png").read_bytes()
