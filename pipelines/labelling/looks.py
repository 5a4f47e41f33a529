"""The stage of second looks as a resumable batch job: LiDAR and tracks say where the 2D models are asked again."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from pipelines.documents import ClustersDocument, LooksDocument
from pipelines.labelling.jobs import SHARD_FRAMES, Summary
from pipelines.labelling.look_scene import LookWorker, look, start
from pipelines.labelling.request import Request
from pipelines.labelling.scene_list import scenes_of
from pipelines.labelling.scenes import drive_scenes, scene_tasks
from pipelines.made_by import code_of, note_other_code
from pipelines.opened import data_of
from pipelines.stored_masks import StoredMasks
from pointsam import __version__
from pointsam.base.errors import SchemaError
from pointsam.evaluate.labels import require_same_data
from pointsam.masks import segmenter_plugin
from pointsam.semantics import semantics_plugin, semantics_sha256
from pointsam.stages.probability import BUNDLED, read_probability
from pointsam.store.manifest import Run, plan_shards
from pointsam.store.reader import Labels
from pointsam.taxonomy import LabelMapping


def run_looks(request: Request) -> Summary:
    """Look again in every scene whose clusters are all there; scenes that are done already stay.

    Frames without times, and scenes of one frame, have no tracks: there only LiDAR components ask for looks. The 2D
    models, the device and the threads are those of the masks.

    Args:
        request: the call. Its data set, noise and calibration are those of the clusters in `request.out`.

    Raises:
        StoreError: OUT004 without clusters or masks, OUT001 if the folder holds looks made with another configuration.
        SchemaError: SCH004 if the clusters were made from other data or masks, or the models are not those of the
            masks.
    """
    labels = Labels(request.out)
    made = labels.document(ClustersDocument)
    note_other_code(labels, "clusters")
    masks = StoredMasks(request.masks_folder)
    if masks.key != made.masks_key:
        raise SchemaError(
            "SCH004",
            f"{request.masks_folder} does not hold the masks that the clusters of {request.out} were made from",
            "pass their folder with --masks-from",
        )
    data = data_of(labels, request.data.root, request.data.reading)
    dataset = data.open()
    require_same_data(labels, "clusters", dataset)
    request = replace(request, config=replace(request.config, masks=masks.document.config))
    weights = _same_weights(request, masks)
    probability = read_probability(request.probability or BUNDLED)
    if probability.sha256 != made.probability_sha256:
        raise SchemaError(
            "SCH004",
            f"the probability of the clusters in {request.out} is of another file than that of this call",
            "give the same --probability as for the clusters",
        )
    scenes = scenes_of(labels)
    crops = has_detector(request)
    document = LooksDocument(
        tool_version=__version__,
        recipe=request.config.recipe,
        dataset=made.dataset,
        taxonomy=made.taxonomy,
        masks_key=masks.key,
        clusters_key=labels.key("clusters"),
        weights_sha256=weights,
        threads=masks.document.threads,
        device=masks.document.device,
        config=request.config.looks,
        tracks=request.config.tracks if request.config.looks.tracks.enabled else None,
        crops=crops,
        **data.calibration(),
    )
    made_with = labels.metadata("clusters")
    metadata = document.metadata(made_with.weights_sha256, made_with.calibration_perturbation)
    shards = plan_shards(labels.selection("clusters"), SHARD_FRAMES)
    run = Run.open(
        request.out, document.stage, document, shards, metadata, data.root, code_of(document, masks.document)
    )
    remarks = scenes.remarks(dataset) if request.config.looks.tracks.enabled else {}
    tasks = scene_tasks(run, labels, scenes, request.execution, remarks)
    mapping = LabelMapping(masks.taxonomy, masks.document.labels)
    worker = partial(
        LookWorker,
        run,
        data,
        document,
        made.config,
        metadata,
        mapping,
        request.masks_folder,
        request.semantics_dir,
        request.weights,
        request.execution.worker_device,
        request.execution.threads,
        request.probability,
    )
    summary = drive_scenes(run, tasks, request.execution, look, start, worker)
    blind = [
        f"the classes come from {request.config.masks.semantics}, which no crop can be shown to: looks at LiDAR "
        "components are off, only tracks ask for looks"
    ]
    off = request.config.looks.components.enabled and not crops
    summary.remarks = (*(blind if off else ()), *scenes.waits("looked at again"), *summary.remarks)
    return summary


def has_detector(request: Request) -> bool:
    """Whether the source of classes is a network, which can be asked about crops; files know whole images only."""
    return semantics_plugin(request.config.masks.semantics).files is None


def _same_weights(request: Request, masks: StoredMasks) -> dict[str, str]:
    """Digests of the models, which must be those of the masks."""
    config, made = request.config.masks, masks.document
    weights = {
        "segmenter": segmenter_plugin(config.backend).weights_sha256(request.weights),
        "semantics": semantics_sha256(config.semantics, request.semantics_dir, config.semantics_options()),
    }
    other = [name for name, digest in weights.items() if made.weights_sha256.get(name) != digest]
    if other:
        raise SchemaError(
            "SCH004",
            f"the {' and the '.join(other)} of this call is not that of the masks in {request.masks_folder}",
            "give the same --weights, --masks-dir and files as for the masks; second looks ask the same models",
        )
    if (made.threads, made.device) != (request.execution.threads, request.execution.device.partition(":")[0]):
        raise SchemaError(
            "SCH004",
            f"the masks were made on {made.device} with --threads {made.threads}, and second looks must be too",
            f"give --threads {made.threads} --device {made.device}",
        )
    return weights
