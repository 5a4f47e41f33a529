"""Valid files of every kind, and the functions that read them.

A target is a function that makes a folder and returns the files to damage and a reader. To add a kind, add a function.
"""

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from helpers.cloud_files import COLUMNS, FILES, ROWS
from helpers.folder_root import make_folder
from helpers.kitti_root import make_kitti
from helpers.masks import write_masks
from helpers.nuscenes_root import make_root
from helpers.semantic_root import make_semantic
from helpers.store_samples import fill, open_run
from helpers.tracking_root import make_tracking
from PIL import Image

from pointsam.base.document import json_object
from pointsam.datasets import open_dataset, read_frame
from pointsam.datasets.folder.calibration import read_calibration
from pointsam.datasets.io import ImageFile, encoded_image, image_size, point_source, read_image
from pointsam.datasets.points import read_frame_points

VERSION = "v1.0-mini"
TEXTS = (".yaml", ".json", ".txt", ".csv")


@dataclass(frozen=True)
class Target:
    """Files of a kind.

    Args:
        files: the files that are damaged, one at a time.
        read: reads all of them.
        foreign: whether some of the files are not readable as they are.
    """

    files: list[Path]
    read: Callable[[], object]
    foreign: bool = False


def _all_of(root, name=None):
    """Reads all that a data set states of its frames."""

    def read():
        dataset = open_dataset(root, name)
        for frame_id in dataset.frame_ids()[:2]:
            read_frame(dataset, frame_id)
            dataset.scene(frame_id)
            dataset.boxes(frame_id)
            dataset.visibility(frame_id)
            dataset.velocities_mps(frame_id)
            dataset.past_sweeps(frame_id, 2)
            read_frame_points(read_frame(dataset, frame_id), intensity=True)
            dataset.point_truth(frame_id)

    return read


def nuscenes_tables(folder):
    root = make_root(folder / "root", samples_per_scene=1, numbered_categories=True)
    return Target(sorted((root / VERSION).glob("*.json")), _all_of(root))


def nuscenes_splits(folder):
    root = make_root(folder / "root", samples_per_scene=1)
    path = root / VERSION / "splits.json"
    path.write_text(json.dumps({"mine": ["scene-0061"]}))
    return Target([path], lambda: open_dataset(root).frame_ids("mine"))


def label_packs(folder):
    root = make_root(folder / "root", samples_per_scene=1, numbered_categories=True)
    points = len(read_frame_points((dataset := open_dataset(root)).frame(dataset.frame_ids()[0])).xyz_lidar_m)
    token = dataset.lidar_token(dataset.frame_ids()[0])
    np.savez_compressed(root / "p.npz", data=np.full(points, 17001, np.uint16))
    np.full(points, 17, np.uint8).tofile(root / "l.bin")
    for kind, name in (("panoptic", "p.npz"), ("lidarseg", "l.bin")):
        row = {"token": token, "sample_data_token": token, "filename": name}
        (root / VERSION / f"{kind}.json").write_text(json.dumps([row]))
    dataset = open_dataset(root)

    def read():
        for source in ("panoptic", "lidarseg"):
            dataset.point_truth(dataset.frame_ids()[0], source)

    return Target([root / "p.npz", root / "l.bin"], read)


def kitti_text(folder):
    made = make_kitti(folder / "kitti")
    return Target([made.path("calib"), made.path("label_2")], _all_of(made.root))


def semantic_kitti(folder):
    make_semantic(folder / "root", values=[10, 10, 30, 40, 0x10_000A])
    part = folder / "root" / "sequences" / "08"
    files = [part / "calib.txt", part / "poses.txt", part / "times.txt", part / "labels" / "000000.label"]
    return Target(files, _all_of(folder / "root"))


def clouds(folder):
    """Files of points in every format."""
    made = make_kitti(folder / "kitti")
    dataset = open_dataset(made.root)
    frame = read_frame(dataset, dataset.frame_ids()[0])
    contents = FILES | _compressed()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    np.save(folder / "a.npy", ROWS)
    pq.write_table(pa.table(dict(zip(COLUMNS, ROWS.T, strict=True))), folder / "a.parquet")
    others = ["a.npy", "a.parquet", *_las(folder / "a.las")]
    paths = [Path(str(frame.sweep.source.path)), *(folder / name for name in (*contents, *others))]
    sources = {path: point_source(path, COLUMNS) for path in paths}

    def points(source):
        swept = replace(frame, sweeps=(replace(frame.sweep, source=source),))
        return read_frame_points(swept, intensity=True)

    return Target(paths, _each(sources, (points,)))


def _las(path):
    """Name of a LAS file that is written; none without the package that writes it."""
    try:
        import laspy
    except ImportError:
        return ()
    data = laspy.LasData(laspy.LasHeader(point_format=3, version="1.2"))
    data.x, data.y, data.z = np.nan_to_num(ROWS[:, :3].astype(float)).T
    data.write(str(path))
    return (path.name,)


def _compressed():
    """A compressed PCD file by name; none without the package that writes it."""
    try:
        from pypcd4 import Encoding, PointCloud
    except ImportError:
        return {}
    sink = io.BytesIO()
    PointCloud.from_points(list(ROWS.T), list(COLUMNS), [np.float32] * 4).save(sink, Encoding.BINARY_COMPRESSED)
    return {"compressed.pcd": sink.getvalue()}


def kitti_tracking(folder):
    made = make_tracking(folder / "root")
    return Target([made.path("calib"), made.path("label_02"), made.path("oxts")], _all_of(folder / "root"))


def folders(folder):
    """Plain folders: the calibration as YAML and as JSON, poses, times and boxes of all kinds."""
    roots = {name: folder / name for name in ("tum", "csv", "kitti")}
    make_folder(roots["tum"], frames=2, points=9, cameras=("front",))
    make_folder(roots["csv"], frames=2, points=9, cameras=("front",), poses="csv", boxes="openlabel")
    make_folder(roots["kitti"], frames=2, points=9, cameras=("front",), poses="kitti", boxes="kitti", match="index")
    (roots["kitti"] / "times.txt").write_text("0.0\n0.1\n")
    values = json_object(read_calibration(roots["csv"] / "calibration.yaml"))
    del values["path"]
    (roots["csv"] / "calibration.yaml").unlink()
    (roots["csv"] / "calibration.json").write_text(json.dumps(values))
    texts = [path for root in roots.values() for path in sorted(root.rglob("*")) if path.suffix in TEXTS]
    readers = [_all_of(root, "folder") for root in roots.values()]
    return Target(texts, lambda: [read() for read in readers])


def coco_sets(folder):
    """One COCO file of results for all images."""
    from pointsam.semantics import load_semantics
    from pointsam.semantics.mapping import default_mapping

    root = make_root(folder / "root", samples_per_scene=1)
    dataset = open_dataset(root)
    frame = read_frame(dataset, dataset.frame_ids()[0])
    view = frame.cameras[0]
    size = [view.camera.height_px, view.camera.width_px]
    shapes = [
        {"segmentation": [[2, 2, 30, 2, 30, 20]]},
        {"segmentation": {"size": size, "counts": [70, 20, size[0] * size[1] - 90]}},
    ]
    rows = [{"id": k, "image_id": 1, "category_id": 1, "score": 0.9, **shape} for k, shape in enumerate(shapes)]
    name = f"{view.name}/{view.source.file_name}"
    document = {
        "images": [{"id": 1, "file_name": name, "height": size[0], "width": size[1]}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": rows,
    }
    path = folder / "results" / "all.json"
    path.parent.mkdir()
    path.write_text(json.dumps(document))
    image = np.zeros((*size, 3), np.uint8)
    mapping = default_mapping(dataset.taxonomy, "same")

    def read():
        source = load_semantics("precomputed", mapping=mapping, masks_dir=path.parent, config=None)
        source.detect(image, frame, view)

    return Target([path], read)


def images(folder):
    rng = np.random.default_rng(0)
    picture, files = Image.fromarray(rng.integers(0, 255, (36, 64, 3), np.uint8)), []
    for form in ("jpeg", "png", "webp", "bmp", "tiff", "gif", "ppm", "dds", "tga", "ico"):
        files.append(folder / f"a.{form}")
        picture.save(files[-1], form)
    sink = io.BytesIO()
    picture.convert("P").save(sink, "png")
    (folder / "palette.png").write_bytes(sink.getvalue())
    every = {path: ImageFile(path) for path in [*files, folder / "palette.png"]}

    return Target(list(every), _each(every, (read_image, image_size, encoded_image)), foreign=True)


def _each(sources, readers):
    """Reads the files that have changed since the last call."""
    seen = {}

    def read():
        for path, source in sources.items():
            content = path.read_bytes()
            if seen.get(path) != content:
                seen[path] = content
                for reader in readers:
                    reader(source)

    return read


def masks(folder):
    """The three layouts of precomputed masks, and ground truth of images."""
    from pointsam.datasets.truth2d import image_truth
    from pointsam.semantics import load_semantics
    from pointsam.semantics.mapping import default_mapping

    root = make_root(folder / "root", samples_per_scene=1)
    dataset = open_dataset(root)
    frame = read_frame(dataset, dataset.frame_ids()[0])
    view, mapping = frame.cameras[0], default_mapping(dataset.taxonomy, "same")
    ids = np.zeros((view.camera.height_px, view.camera.width_px), np.uint8)
    ids[5:20, 5:30], ids[25:30, 5:30] = 1, 2
    write_masks(dataset, folder / "rle")
    named = {"1": {"label": "car", "score": 0.9, "visible": 0.5}, "2": {"label": "pedestrian", "score": 0.8}}
    for name in ("instances", "semantic", "truth"):
        place = root / "truth2d" / view.name if name == "truth" else folder / name / view.name
        place.mkdir(parents=True)
        Image.fromarray(ids).save(place / f"{view.stem}.png")
        if name != "semantic":
            (place / f"{view.stem}.json").write_text(json.dumps(named))
    (folder / "semantic" / "labels.json").write_text(json.dumps({"0": "void", "1": "car", "2": "pedestrian"}))
    image = np.zeros((*ids.shape, 3), np.uint8)
    files = [folder / "rle" / view.name / f"{view.stem}.json", folder / "semantic" / "labels.json"]
    for place in (folder / "instances" / view.name, folder / "semantic" / view.name, root / "truth2d" / view.name):
        files += sorted(place.iterdir())

    def read():
        for name in ("rle", "instances", "semantic"):
            source = load_semantics("precomputed", mapping=mapping, masks_dir=folder / name, config=None)
            source.detect(image, frame, view)
        image_truth(root, view, dataset.taxonomy)

    return Target(files, read)


def stores(folder):
    from pointsam.store.reader import Labels

    open_run(folder / "out")
    fill(folder / "out")
    files = sorted((folder / "out").rglob("*.parquet"))

    def read():
        labels = Labels(folder / "out")
        for frame in labels.frames():
            if frame.status == "ok":
                labels.labels(frame.frame_id)
        list(labels.cluster_sizes())

    return Target(files, read)


def run_folders(folder):
    from pointsam.store.reader import Labels

    open_run(folder / "out")
    fill(folder / "out")
    files = [path for path in sorted((folder / "out").rglob("*.json")) if path.is_file()]

    def read():
        open_run(folder / "out").pending()
        labels = Labels(folder / "out")
        _ = labels.taxonomy, labels.key("clusters"), labels.data_root(), labels.unfinished()
        for frame in labels.frames():
            labels.labels(frame.frame_id)

    return Target(files, read)


def documents_of_runs(folder):
    """run.json of a real run, with its typed documents."""
    from helpers.training import make_labels, make_world

    from pipelines.documents import ClustersDocument
    from pointsam.store.reader import Labels

    world = make_world(folder / "root", samples=1, boxes=2)
    make_labels(folder / "labels", world)

    def read():
        labels = Labels(folder / "labels")
        labels.document(ClustersDocument)
        _ = labels.dataset(), labels.metadata("clusters"), labels.taxonomy, labels.data_root()

    return Target([folder / "labels" / "run.json"], read)


def prompts(folder):
    from pointsam.semantics.hf.prompts import read_prompts

    path = folder / "prompts.json"
    path.write_text(json.dumps({"source": "some/model", "prompts": {"car": ["car", "van"], "bus": ["bus"]}}))
    named = folder / "named.json"
    named.write_text(json.dumps({"source": "some/model", "prompts": "nuscenes"}))
    return Target([path, named], _in_turn(lambda: read_prompts(path), lambda: read_prompts(named)))


def mappings(folder):
    from pointsam.semantics.mapping import load_mapping

    path = folder / "m.json"
    classes = [
        {"name": "car", "size_lwh_m": [4.5, 1.9, 1.7], "large": False, "coco": ["car"]},
        {"name": "person"},
    ]
    path.write_text(json.dumps({"taxonomy": {"name": "mine", "classes": classes}, "labels": {"car": "car"}}))
    plain = folder / "n.json"
    plain.write_text(json.dumps({"taxonomy": "nuscenes", "labels": {"auto": "car", "person": "pedestrian"}}))

    def read():
        load_mapping(path)

    def read_plain():
        load_mapping(plain)

    return Target([path, plain], _in_turn(read, read_plain))


def _in_turn(*readers):
    """Calls all readers, and raises the first error at the end: all are reached."""

    def read():
        first = None
        for reader in readers:
            try:
                reader()
            except Exception as error:
                first = first or error
                if not hasattr(error, "code"):
                    raise
        if first:
            raise first

    return read


def calibrations(folder):
    from pointsam.calibration.file import VERSION as FILE_VERSION
    from pointsam.calibration.file import read_correction

    path, three = folder / "c.json", [0.1, 0.2, 0.3]
    camera = {
        **{"status": "mended", "objects": 3, "shift_deg": 0.1, "apart_deg": 0.1, "doubt_deg": 0.1},
        **{"rotation_deg": three, "translation_m": three, "rotation_doubt_deg": three, "translation_doubt_m": None},
    }
    rig = {
        **{"frames": 3, "speed_mps": 1.0, "time_status": "mended", "time_ms": 1.0, "time_doubt_ms": None},
        "cameras": {"CAM_FRONT": camera},
    }
    data = {"name": "nuscenes", "version": None, "fingerprint": "ab"}
    document = {"version": FILE_VERSION, "dataset": data, "masks_key": "k", "calibration_perturbation": "none"}
    path.write_text(json.dumps({**document, "rigs": {"a": rig}, "failed": {}}))
    return Target([path], lambda: read_correction(path))


def overrides(folder):
    """Texts of --set and --noise."""
    from pointsam.calibration.perturb import noise_of
    from pointsam.stages.recipes import default, with_overrides

    files = []
    for k, text in enumerate(("clusters.refine.range_coef=0.5", "masks.seed=3", "masks.prompt.sweeps=[0,-1]")):
        files.append(folder / f"{k}.txt")
        files[-1].write_text(text)
    noise = folder / "noise.txt"
    noise.write_text("rotation_deg=0.5")

    def read():
        for path in files:
            with_overrides(default(), [path.read_text(errors="surrogateescape")])

    return Target([*files, noise], _in_turn(read, lambda: noise_of([noise.read_text(errors="surrogateescape")])))


def budgets(folder):
    from helpers.training import make_budget, make_world

    from pointsam.detect.data.budget_file import read_budget, write_budget

    path = folder / "b.parquet"
    write_budget(path, make_budget(make_world(folder / "root", samples=1, boxes=2)))
    return Target([path], lambda: read_budget(path))


def recipes(folder):
    from helpers.recipes import tiny

    from pipelines.training.recipe_file import document_of, load_recipe

    path = folder / "r.json"
    path.write_text(json.dumps(document_of(tiny())))

    def read():
        detector = load_recipe(str(path)).detector
        _ = detector.grid.shape, detector.class_names

    return Target([path], read)


def checkpoints(folder):
    import torch
    from helpers.recipes import tiny

    from pipelines.training.recipe_file import Network
    from pointsam.detect.checkpoint import Checkpoint, TrainingProgress, save_checkpoint
    from pointsam.taxonomy import ClassSpec, Taxonomy

    path, model = folder / "last.safetensors", torch.nn.Linear(2, 2)
    about = Network(tiny(), Taxonomy("t", (ClassSpec("car"),)))
    save_checkpoint(path, model, torch.optim.AdamW(model.parameters()), TrainingProgress(3, 0.5), about)

    def read():
        found = Checkpoint(path)
        Network.of(found)
        found.load_model(model)
        found.load_optimizer(model, torch.optim.AdamW(model.parameters()))

    return Target([path], read)


def weights(folder):
    import torch
    from safetensors.torch import save_file

    from pointsam.base.tensors import read_tensors
    from pointsam.masks.checkpoint import architecture_of

    tensors = {"image_encoder.pos_embed": torch.zeros(1, 2, 2, 3), "b": torch.arange(3)}
    files = [folder / "w.pth", folder / "old.pth", folder / "w.safetensors"]
    torch.save(tensors, files[0])
    torch.save(tensors, files[1], _use_new_zipfile_serialization=False)
    save_file(tensors, files[2])
    return Target(files, _each({path: path for path in files}, (lambda path: architecture_of(read_tensors(path)),)))


def training_runs(folder):
    """scores.json and the bank of pasted objects."""
    from pipelines.training.scores import read_validations
    from pointsam.detect.data.paste import PasteBank

    scores = folder / "scores.json"
    quality = {"classes": [], "mean_ap": 0.5, "num_frames": 1, "draws": [0.5], "unit": "frames"}
    one = {"quality": quality, "failures": [], "official": None, "bad": {}}
    more = {"epochs": 1, "left_out": {}, "quarantined": 0, "machine": "cpu"}
    scores.write_text(json.dumps({"3": {**one, **more}}))
    PasteBank.join([]).save(folder / "paste.npz")
    return Target(
        [scores, folder / "paste.npz"],
        _in_turn(lambda: read_validations(scores), lambda: PasteBank.load(folder / "paste.npz")),
    )


TARGETS = {
    "nuScenes tables": nuscenes_tables,
    "nuScenes splits": nuscenes_splits,
    "label packs": label_packs,
    "KITTI text": kitti_text,
    "SemanticKITTI": semantic_kitti,
    "clouds": clouds,
    "KITTI tracking": kitti_tracking,
    "folders": folders,
    "images": images,
    "COCO sets": coco_sets,
    "masks": masks,
    "stores": stores,
    "run folders": run_folders,
    "documents of runs": documents_of_runs,
    "mappings": mappings,
    "prompts": prompts,
    "calibrations": calibrations,
    "overrides": overrides,
    "budgets": budgets,
    "recipes": recipes,
    "checkpoints": checkpoints,
    "weights": weights,
    "training runs": training_runs,
}
NEEDS_TORCH = {"recipes", "checkpoints", "weights", "training runs", "budgets", "documents of runs"}


def made(kind, folder):
    """A target in a new folder; the data sets' cache is that of the environment."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    target = TARGETS[kind](folder)
    if not target.foreign:
        target.read()
    return target
