"""The stage of tracks as a resumable batch job: the clusters of a whole scene to tracks and better labels."""

from __future__ import annotations

from functools import partial

from pipelines.documents import ClustersDocument, LooksDocument, TracksDocument
from pipelines.labelling.jobs import SHARD_FRAMES, Summary
from pipelines.labelling.request import Request
from pipelines.labelling.scene import SceneWorker, start, track
from pipelines.labelling.scene_list import scenes_of
from pipelines.labelling.scenes import drive_scenes, scene_tasks
from pipelines.made_by import code_of, note_other_code
from pipelines.opened import data_of, has_looks, stale_looks
from pipelines.remarks import scene_lines
from pointsam import __version__
from pointsam.evaluate.labels import require_same_data
from pointsam.stages.probability import tracked_probability
from pointsam.store.manifest import Run, plan_shards
from pointsam.store.reader import Labels


def run_tracks(request: Request) -> Summary:
    """Run the stage for every scene whose clusters are all there; scenes that are tracked already stay.

    It starts from second looks if the folder has them finished, otherwise from the clusters of the first round.

    Args:
        request: the call. Its data set, noise and calibration are those of the clusters in `request.out`, and its
            probability is one of tracked clusters.

    Raises:
        StoreError: OUT004 without clusters, OUT001 if the folder holds tracks made with another configuration.
        SchemaError: SCH004 if the clusters were made from other data; SCH005, SCH003 on a file that is no such
            probability.
    """
    labels = Labels(request.out)
    made = labels.document(ClustersDocument)
    note_other_code(labels, "clusters")
    data = data_of(labels, request.data.root, request.data.reading)
    dataset = data.open()
    require_same_data(labels, "clusters", dataset)
    scenes = scenes_of(labels)
    remarks, waits = scenes.remarks(dataset), scenes.waits("tracked")
    if not scenes.ready:  # perhaps no scene can be tracked: then the folder gets no tracks
        return Summary(TracksDocument.stage, remarks=(*waits, *scene_lines(remarks)))
    if "looks" in labels.stages and labels.document(LooksDocument).clusters_key == labels.key("clusters"):
        missing = stale_looks(labels)
        if missing:
            return Summary(TracksDocument.stage, remarks=(*waits, f"no scene is tracked yet, because {missing}"))
    probability = tracked_probability(request.probability)
    base = Labels(request.out, "looks") if has_looks(labels) else labels
    document = TracksDocument(
        tool_version=__version__,
        recipe=request.config.recipe,
        dataset=made.dataset,
        taxonomy=made.taxonomy,
        clusters_key=labels.key("clusters"),
        config=request.config.tracks,
        probability_sha256=None if probability is None else probability.sha256,
        looks_key=base.key("looks") if base.stage == "looks" else None,
        **data.calibration(),
    )
    made_with = labels.metadata("clusters")
    metadata = document.metadata(made_with.weights_sha256, made_with.calibration_perturbation)
    shards = plan_shards(labels.selection("clusters"), SHARD_FRAMES)
    run = Run.open(request.out, document.stage, document, shards, metadata, data.root, code_of(document))
    tasks = scene_tasks(run, base, scenes, request.execution, remarks)
    model = None if probability is None else probability.model
    worker = partial(SceneWorker, run, data, made.taxonomy, document.config, metadata, model, base.stage)
    summary = drive_scenes(run, tasks, request.execution, track, start, worker)
    summary.remarks = (*waits, *summary.remarks)
    return summary
