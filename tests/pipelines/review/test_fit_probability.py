"""`pointsam-label fit-probability`, and `--probability` with its file, on labels of which some are wrong."""

import json
import shlex
import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers.commands import label, refused
from helpers.masks import write_masks
from helpers.segmenters import Scissors
from helpers.training import make_labels, make_world
from sklearn.ensemble import HistGradientBoostingClassifier

from pipelines.documents import ClustersDocument, TracksDocument
from pointsam import rle
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.evaluate.fit_probability import JudgedClusters, fit, fit_probability
from pointsam.evaluate.track_traits import StoredTracks
from pointsam.stages.probability import DIRECTION, FEATURES, TRACKED_FEATURES, features, read_probability
from pointsam.stages.recipes import RECIPES
from pointsam.store.reader import Labels

SCENES = tuple(f"scene-{k:04d}" for k in (61, 103, 553, 655, 757, 796))


def narrowed(entry):
    """The left third of a mask, with a low score."""
    height, width = entry["segmentation"]["size"]
    rows, columns, crop = rle.decode_crop(entry["segmentation"]["counts"].encode(), height, width)
    inside = np.zeros((height, width), dtype=np.bool_)
    inside[rows, columns.start : columns.start + max((columns.stop - columns.start) // 3, 1)] = crop.any()
    runs = {"size": [height, width], "counts": rle.encode_mask(inside).decode()}
    return {**entry, "segmentation": runs, "score": 0.4}


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """A root, 2D results of which every second is poor, and labels."""
    folder, poor = tmp_path_factory.mktemp("world"), 0
    world = make_world(folder / "root", SCENES, boxes=16)
    write_masks(world, folder / "masks")
    for path in sorted((folder / "masks").rglob("*.json")):
        entries = json.loads(path.read_text())
        for k, entry in enumerate(entries):
            poor += 1
            entries[k] = narrowed(entry) if poor % 2 == 0 else entry
        path.write_text(json.dumps(entries))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.labelling.worker.load_segmenter", lambda *_args, **_kwargs: Scissors())
        known = ("--semantics", "precomputed", "--masks-dir", folder / "masks", "--workers", 1)
        assert label("run", world.root, "--out", folder / "out", *known).exit_code == 0
    return world.root, folder / "out"


@pytest.fixture(scope="module")
def fitted(drive, tmp_path_factory):
    """What the command printed, as JSON, and its file."""
    root, out = drive
    dest = tmp_path_factory.mktemp("fitted") / "probability.json"
    result = label("fit-probability", out, root, "--dest", dest, "--json", dest.with_name("found.json"))
    assert result.exit_code == 0, result.output
    return json.loads(dest.with_name("found.json").read_text()), dest, result.output


def judged(drive):
    root, out = drive
    found = JudgedClusters()
    found.add_labels(Labels(out), NuScenes(root), "labels")
    return found


def test_the_fit_is_better_than_what_the_labels_have_and_says_so(drive, fitted):
    found, dest, text = fitted
    assert found["after"]["brier"] < found["before"]["brier"]
    assert found["after"]["auroc"] > 0.9
    assert found["after"]["unit"] == "scenes"
    assert found["model"] == json.loads(dest.read_text())
    (note,) = (line for line in text.splitlines() if line.startswith("no cluster of "))
    assert {name for name, count in found["classes"].items() if not count} <= set(
        note.replace(",", " ").replace(":", " ").split()
    )
    root, out = drive
    again = ["clusters", str(root), "--out", "NEW", "--masks-from", str(out), "--probability", str(dest)]
    assert found["again"] == again
    assert f"next: pointsam-label {shlex.join(again)}" in text
    assert str(dest) in text


def test_the_file_gives_the_probabilities_of_scikit_learn(drive, fitted):
    found, stored = judged(drive), read_probability(fitted[1]).model
    values, right = np.concatenate(found.values), found.right
    steps, signs, inside = [], [], np.ones(len(values), dtype=bool)
    for one in stored.features:
        column = values[:, FEATURES.index(one.name)]
        steps.append([sum(edge < value for edge in one.edges) for value in column.tolist()])
        signs.append(DIRECTION.get(one.name, 0))
        inside &= (one.name == "score") | ~((column < one.low) | (column > one.high))
    theirs = HistGradientBoostingClassifier(
        max_iter=100,
        max_depth=1,
        min_samples_leaf=max(len(right) // 15, 10),
        monotonic_cst=signs,
        early_stopping=False,
        random_state=0,
    ).fit(np.column_stack(steps), right)
    expected = theirs.predict_proba(np.column_stack(steps))[:, 1]
    assert inside.sum() > 50
    np.testing.assert_allclose(stored.probability(values)[inside], expected[inside], rtol=0, atol=6e-7)


def test_the_printed_command_has_the_options_of_the_labels(drive, tmp_path):
    root, out = drive
    options = ("--recipe", "paper", "--set", "clusters.paint.order=score", "--no-sar", "--noise", "rotation_deg=0.1")
    known = ("clusters", root, "--masks-from", out, "--workers", 1)
    assert label(*known, "--out", tmp_path / "labels", *options).exit_code == 0
    found = label("fit-probability", tmp_path / "labels", root, "--dest", tmp_path / "p.json", "--json", "-")
    again = json.loads(found.stdout)["again"]
    places = {"NEW": tmp_path / "new", "MASKS": out}
    result = label(*(places.get(word, word) for word in again), "--workers", 1)
    assert result.exit_code == 0, result.output
    made, new = (Labels(tmp_path / name).document(ClustersDocument) for name in ("labels", "new"))
    assert made.config != RECIPES["paper"]().clusters
    assert new == replace(made, probability_sha256=new.probability_sha256)


def test_equal_labels_give_equal_files(drive, fitted, tmp_path):
    root, out = drive
    assert label("fit-probability", out, root, "--dest", tmp_path / "again.json").exit_code == 0
    assert (tmp_path / "again.json").read_bytes() == fitted[1].read_bytes()
    refused(label("fit-probability", out, root, "--dest", tmp_path / "again.json"), "OUT003", "again.json")


def test_clusters_take_the_file_and_record_it(drive, fitted, tmp_path):
    root, out = drive
    known = ("clusters", root, "--masks-from", out, "--workers", 1)
    assert label(*known, "--out", tmp_path / "new", "--probability", fitted[1]).exit_code == 0
    old, new = Labels(out), Labels(tmp_path / "new")
    stored = read_probability(fitted[1])
    assert new.document(ClustersDocument).probability_sha256 == stored.sha256
    assert new.metadata("clusters").weights_sha256["probability"] == stored.sha256
    assert new.key("clusters") != old.key("clusters")
    for frame_id in old.frame_ids():
        one, other = old.labels(frame_id), new.labels(frame_id)
        assert one.labels.instance_id.tolist() == other.labels.instance_id.tolist()
        expected = stored.model.probability(features(other, new.taxonomy)).tolist()
        assert [cluster.probability for cluster in other.clusters] == expected
    refused(label(*known, "--out", tmp_path / "new"), "OUT001", "probability_sha256")
    (tmp_path / "torn.json").write_text("{")
    for command in (known, ("run", root)):
        wrong = label(*command, "--out", tmp_path / "torn", "--probability", tmp_path / "torn.json")
        refused(wrong, "SCH005", "torn.json")
    assert not (tmp_path / "torn").exists()  # not even masks


def test_eval_scores_both_values(drive, tmp_path):
    root, out = drive
    result = label("eval", out, root, "--json", tmp_path / "eval.json")
    (found,) = json.loads((tmp_path / "eval.json").read_text())
    for name in ("confidence", "probability"):
        assert f"does {name} tell right clusters from wrong ones?" in result.output
        assert found[name]["ece_low"] <= found[name]["ece_high"]
        assert found[name]["num_clusters"] > 100


def test_a_split_restricts_the_frames_and_few_clusters_are_refused(drive, tmp_path):
    root, out = drive
    few = label("fit-probability", out, root, "--dest", tmp_path / "few.json", "--split", "scene-0061")
    refused(few, "DAT009", "too few to fit a probability")
    assert not (tmp_path / "few.json").exists()
    known = ("--dest", tmp_path / "few.json", "--split")
    refused(label("fit-probability", out, root, *known, "test"), "DAT009")


def test_frames_that_cannot_be_used_are_named(drive, tmp_path):
    root, out = drive
    shutil.copytree(root, tmp_path / "changed")
    first, *_, last = Labels(out).frame_ids()
    sweep = NuScenes(tmp_path / "changed").frame(first).sweep.source.path
    sweep.write_bytes(sweep.read_bytes()[:-20])
    known = ("fit-probability", out, tmp_path / "changed", "--dest")
    result = label(*known, tmp_path / "p.json", "--json", tmp_path / "found.json")
    (note,) = json.loads((tmp_path / "found.json").read_text())["notes"]
    assert note.startswith(f"1 frames could not be scored and are not part of the figures; {first}: [DAT013]")
    assert f"note: {note}" in result.output
    found = JudgedClusters()
    found.add_labels(Labels(out), NuScenes(tmp_path / "changed"), "labels", Labels(out).labels(last).frame.scene)
    assert (len(found.scenes), found.notes) == (4, [])


def test_data_without_ground_truth_are_refused(drive, tmp_path):
    root, out = drive
    shutil.copytree(root, tmp_path / "bare")
    table = next((tmp_path / "bare").glob("v1.0-*")) / "sample_annotation.json"
    table.write_text("[]")
    refused(label("fit-probability", out, tmp_path / "bare", "--dest", tmp_path / "p.json"), "DAT009")


def test_labels_without_scores_are_refused(tmp_path):
    world = make_world(tmp_path / "root", samples=1)
    labels = make_labels(tmp_path / "out", world)
    result = label("fit-probability", labels.out, world.root, "--dest", tmp_path / "p.json")
    refused(result, "SCH003", "have no score", "--masks-from OUT")


def test_a_cluster_is_scored_by_a_fit_to_other_scenes(rng_of):
    """The length tells the scene of a cluster, and clusters of every second scene are right: other scenes mislead."""
    rng, found = rng_of(7), JudgedClusters()
    for frame in range(40):
        scene = frame // 4
        values = rng.random((10, len(FEATURES)))
        values[:, FEATURES.index("length")] = scene + 0.1 * rng.random(10)
        found.values.append(values)
        found.iou.append(np.full(10, 0.9 if scene % 2 else 0.1))
        found.stored.append(np.full(10, np.nan))
        found.scenes.append(f"scene {scene}")
    fitted = fit_probability(found)
    assert found.reliability(fitted.model.probability(np.concatenate(found.values))).auroc > 0.75
    assert fitted.after.unit == "scenes"
    assert fitted.after.num_clusters == 400
    assert fitted.after.auroc < 0.6


def test_a_feature_never_counts_against_its_direction(rng_of):
    rng = rng_of(2)
    values = rng.random((400, len(FEATURES)))
    score, stability = (values[:, FEATURES.index(name)] for name in ("score", "stability"))
    right = rng.random(400) < np.clip(0.5 + 0.4 * (score - 0.5) - 0.8 * (stability - 0.5), 0, 1)
    effects = {one.name: one.values for one in fit(values, right, JudgedClusters()).features}
    assert not any(effects["stability"])
    assert effects["score"][-1] > 0 > effects["score"][0]
    for name, effect in effects.items():
        assert min(DIRECTION.get(name, 0) * np.diff(effect)) >= 0


def test_a_constant_feature_is_left_out(rng_of):
    values = rng_of(5).random((200, len(FEATURES)))
    values[:, FEATURES.index("pred_iou")] = 0.9  # the mean of 200 of them is not 0.9
    right = rng_of(6).random(200) < values[:, FEATURES.index("score")]
    assert "pred_iou" not in {one.name for one in fit(values, right, JudgedClusters()).features}


@pytest.mark.parametrize("sized", [0, 100])
def test_classes_without_a_size_can_be_fitted(sized, rng_of):
    values = rng_of(3).random((200, len(FEATURES)))
    values[sized:, FEATURES.index("length")] = np.nan
    right = rng_of(4).random(200) < values[:, FEATURES.index("score")]
    fitted = fit(values, right, JudgedClusters())
    assert ("length" in {one.name for one in fitted.features}) == (sized > 0)
    assert fitted.probability(values)[right].mean() > fitted.probability(values)[~right].mean() + 0.2


@pytest.fixture(scope="module")
def fitted_tracks(drive, tmp_path_factory):
    """A fit to the tracked labels, and their tracks made again with it."""
    root, out = drive
    folder = tmp_path_factory.mktemp("tracked")
    shutil.copytree(out, folder / "out")
    dest = folder / "tracks.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pointsam.evaluate.fit_probability.FEWEST_EACH", 10)  # tracks correct most of what is wrong
        words = ("--stage", "tracks", "--dest", dest, "--json", folder / "found.json")
        result = label("fit-probability", out, root, *words)
    assert result.exit_code == 0, result.output
    for name in ("tracks", "tracked_frames", "tracked_points", "tracked_clusters", "manifest/tracks"):
        shutil.rmtree(folder / "out" / name)
    done = label("tracks", root, "--out", folder / "out", "--probability", dest, "--workers", 1)
    assert done.exit_code == 0, done.output
    return json.loads((folder / "found.json").read_text()), folder / "out", dest


def test_the_stage_gives_the_probabilities_of_the_features_in_its_tables(drive, fitted_tracks):
    found, out, dest = fitted_tracks
    assert found["again"][:2] == ["tracks", str(drive[0])]
    labels = Labels(out, "tracks")
    stored, model = StoredTracks(labels), read_probability(dest, TRACKED_FEATURES)
    assert labels.document(TracksDocument).probability_sha256 == model.sha256
    seen = set()
    for frame in labels.frames():
        values = stored.features(frame.frame_id, frame.scene)
        expected = model.model.probability(values, TRACKED_FEATURES)
        assert [one.probability for one in labels.clusters(frame.frame_id)] == expected.tolist()
        seen |= set(np.exp(values[:, TRACKED_FEATURES.index("frames")]).round().tolist())
    assert len(seen) > 1


def test_labels_of_single_frames_do_not_depend_on_the_tracks(drive, fitted_tracks):
    for name in ("frames", "points", "clusters"):
        files = sorted((drive[1] / name).rglob("*.parquet"))
        assert files
        for path in files:
            assert path.read_bytes() == (fitted_tracks[1] / path.relative_to(drive[1])).read_bytes()


def test_a_file_of_the_other_stage_is_refused(drive, fitted, fitted_tracks, tmp_path):
    root, out = drive
    known = ("clusters", root, "--out", tmp_path / "new", "--masks-from", out, "--workers", 1)
    refused(label(*known, "--probability", fitted_tracks[2]), "SCH005", "features of the other stage")
    refused(label("tracks", root, "--out", out, "--probability", fitted[1]), "SCH005", "features of the other stage")
