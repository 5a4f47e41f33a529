"""Time and memory to open a trainval-sized nuScenes: our index against nuscenes-devkit, in one run.

Writes synthetic tables of the size of v1.0-trainval (no sensor files, about 2 GB) to a temporary folder, then measures
each step in its own process: wall time without imports, and peak resident memory.

    python scripts/bench_nuscenes_index.py                # full size: 34,149 samples
    python scripts/bench_nuscenes_index.py --scale 0.1    # a tenth of the scenes
"""

import argparse
import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VERSION = "v1.0-trainval"
NUM_SCENES, NUM_SAMPLES, NUM_SAMPLE_DATA, NUM_ANNOTATIONS = 850, 34_149, 2_631_083, 1_166_187
CAMERAS = ("FRONT", "FRONT_LEFT", "FRONT_RIGHT", "BACK", "BACK_LEFT", "BACK_RIGHT")
RADARS = ("FRONT", "FRONT_LEFT", "FRONT_RIGHT", "BACK_LEFT", "BACK_RIGHT")
CHANNELS = ("LIDAR_TOP", *(f"CAM_{c}" for c in CAMERAS), *(f"RADAR_{r}" for r in RADARS))
MODALITY = {"LIDAR": "lidar", "CAM": "camera", "RADAR": "radar"}
# Exposures from one key frame to the next: 20 Hz, six times 12 Hz, five times 13 Hz; 34,149 * 77 = 2.63 million.
EXPOSURES = dict(zip(CHANNELS, (10, *[6] * 6, 7, 6, 6, 6, 6), strict=True))
CAMERA_YAWS_RAD = dict(zip(CAMERAS, map(math.radians, (0, 55, -55, 180, 110, -110)), strict=True))
FRAMES_TO_OPEN = 100


class Table:
    """Writes a table row by row in the layout of the published ones."""

    def __init__(self, root, name):
        self.file = (root / VERSION / f"{name}.json").open("w", encoding="utf-8")
        self.count = 0

    def add(self, **row):
        """Write one row, one value per line."""
        self.file.write(",\n" if self.count else "[\n")
        self.file.write(json.dumps(row, separators=(",\n", ": ")))
        self.count += 1

    def close(self):
        """End the list."""
        self.file.write("\n]" if self.count else "[]")
        self.file.close()


def write_tables(root, scale, seed):
    """Write synthetic tables; return the number of rows of each."""
    (root / VERSION).mkdir(parents=True)
    names = "sensor calibrated_sensor category attribute visibility instance log map scene sample sample_data ego_pose"
    tables = {name: Table(root, name) for name in [*names.split(), "sample_annotation"]}
    rng = random.Random(seed)

    def token():
        return f"{rng.getrandbits(128):032x}"

    category, log = token(), token()
    tables["category"].add(token=category, name="vehicle.car", description="")
    tables["log"].add(token=log, logfile="", vehicle="", date_captured="", location="")
    tables["map"].add(token=token(), category="", filename="maps/map.png", log_tokens=[log])
    sensors = {channel: token() for channel in CHANNELS}
    for channel, name in sensors.items():
        tables["sensor"].add(token=name, channel=channel, modality=MODALITY[channel.partition("_")[0]])
    (root / "maps").mkdir()
    from PIL import Image

    Image.new("L", (1, 1)).save(root / "maps" / "map.png")
    num_scenes = max(1, round(NUM_SCENES * scale))
    num_samples, num_boxes = round(NUM_SAMPLES * scale), round(NUM_ANNOTATIONS * scale)
    for i in range(num_scenes):
        samples = [token() for _ in range(num_samples * (i + 1) // num_scenes - num_samples * i // num_scenes)]
        boxes = num_boxes * (i + 1) // num_scenes - num_boxes * i // num_scenes
        _write_scene(tables, rng, token, i, samples, boxes, (category, log, sensors))
    for table in tables.values():
        table.close()
    return {name: table.count for name, table in tables.items()}


def _pose(rng):
    yaw = rng.uniform(-1, 1)
    return {
        "rotation": [(1 - yaw * yaw) ** 0.5, 0.0, 0.0, yaw],
        "translation": [rng.uniform(0, 2000), rng.uniform(0, 2000), 0.0],
    }


def _mounting(channel):
    """Calibration of a sensor: cameras look outwards, the LiDAR to the front."""
    if not channel.startswith("CAM"):
        return {"translation": [0.9, 0.0, 1.8], "rotation": [1.0, 0.0, 0.0, 0.0], "camera_intrinsic": []}
    half = CAMERA_YAWS_RAD[channel.removeprefix("CAM_")] / 2
    w, z = math.cos(half) / 2, math.sin(half) / 2
    return {
        "translation": [1.5, 0.0, 1.5],
        "rotation": [w + z, -w - z, w - z, z - w],
        "camera_intrinsic": [[1266.0, 0.0, 816.0], [0.0, 1266.0, 491.0], [0.0, 0.0, 1.0]],
    }


def _ego_pose(scene, seconds):
    """A vehicle at 8 m/s on a wide curve."""
    turned = 0.02 * seconds
    return {
        "rotation": [math.cos(turned / 2), 0.0, 0.0, math.sin(turned / 2)],
        "translation": [1000.0 + scene + 400 * math.sin(turned), 1500.0 + 400 * (1 - math.cos(turned)), 0.0],
    }


def _links(tokens, i):
    return {"prev": tokens[i - 1] if i else "", "next": tokens[i + 1] if i + 1 < len(tokens) else ""}


def _write_scene(tables, rng, token, number, samples, num_boxes, shared):
    category, log, sensors = shared
    scene, start_us = token(), 1_500_000_000_000_000 + rng.randrange(10**13)
    tables["scene"].add(
        token=scene,
        log_token=log,
        nbr_samples=len(samples),
        first_sample_token=samples[0],
        last_sample_token=samples[-1],
        name=f"scene-{number:04d}",
        description="",
    )
    for i, sample in enumerate(samples):
        tables["sample"].add(token=sample, timestamp=start_us + i * 500_000, scene_token=scene, **_links(samples, i))
    for channel, sensor in sensors.items():
        _write_chain(tables, token, channel, sensor, samples, number, start_us)
    instance = token()
    tables["instance"].add(
        token=instance,
        category_token=category,
        nbr_annotations=num_boxes,
        first_annotation_token="",
        last_annotation_token="",
    )
    for k in range(num_boxes):
        tables["sample_annotation"].add(
            token=token(),
            sample_token=samples[k * len(samples) // num_boxes],
            instance_token=instance,
            visibility_token="4",
            attribute_tokens=[token()],
            **_pose(rng),
            size=[rng.uniform(1, 3), rng.uniform(1, 5), rng.uniform(1, 3)],
            prev="",
            next="",
            num_lidar_pts=rng.randrange(100),
            num_radar_pts=0,
        )


def _write_chain(tables, token, channel, sensor, samples, number, start_us):
    image = channel.startswith("CAM")
    calibrated = token()
    tables["calibrated_sensor"].add(
        token=calibrated,
        sensor_token=sensor,
        **_mounting(channel),
    )
    stride = EXPOSURES[channel]
    suffix = "jpg" if image else "pcd.bin"
    tokens = [token() for _ in range(len(samples) * stride)]
    for i, exposure in enumerate(tokens):
        t_us, key = start_us + i * 500_000 // stride, i % stride == 0
        folder = "samples" if key else "sweeps"
        tables["ego_pose"].add(token=exposure, timestamp=t_us, **_ego_pose(number, (t_us - start_us) * 1e-6))
        tables["sample_data"].add(
            token=exposure,
            sample_token=samples[i // stride],
            ego_pose_token=exposure,
            calibrated_sensor_token=calibrated,
            timestamp=t_us,
            fileformat=suffix[:3],
            is_key_frame=key,
            height=900 if image else 0,
            width=1600 if image else 0,
            filename=f"{folder}/{channel}/n015-2018-07-24-11-22-45+0800__{channel}__{t_us}.{suffix}",
            **_links(tokens, i),
        )


def build(root):
    """Read the tables into the index."""
    return ours(root, frames=0)


def ours(root, frames=FRAMES_TO_OPEN):
    """Open the index, then the frames with their boxes. Returns the times before, between and after."""
    from pointsam.datasets.nuscenes.dataset import NuScenes

    started = time.perf_counter()
    dataset = NuScenes(root)
    tokens = sorted(dataset.frame_ids())
    opened = time.perf_counter()
    for frame_id in random.Random(0).sample(tokens, frames):
        dataset.frame(frame_id)
        dataset.boxes(frame_id)
    return started, opened, time.perf_counter()


def theirs(root):
    """Open the devkit, then the same frames: the records of every sensor, and the boxes."""
    from nuscenes.nuscenes import NuScenes

    started = time.perf_counter()
    devkit = NuScenes(VERSION, str(root), verbose=False)
    tokens = sorted(row["token"] for row in devkit.sample)
    opened = time.perf_counter()
    for token in random.Random(0).sample(tokens, FRAMES_TO_OPEN):
        for channel, exposure in devkit.get("sample", token)["data"].items():
            record = devkit.get("sample_data", exposure)
            devkit.get("ego_pose", record["ego_pose_token"])
            devkit.get("calibrated_sensor", record["calibrated_sensor_token"])
            if channel == "LIDAR_TOP":
                devkit.get_sample_data(exposure)
    return started, opened, time.perf_counter()


STEPS = {"build": build, "ours": ours, "theirs": theirs}


def measure(step, root):
    """Seconds to open, seconds for the frames and peak resident MB of one step in a fresh process."""
    command = [sys.executable, __file__, "--step", step, "--dest", str(root)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def run_step(step, root):
    """Print the measurement of one step, in its own process."""
    started, opened, done = STEPS[step](root)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"open_s": opened - started, "frames_s": done - opened, "peak_mb": peak_mb}))


def report(root, scale, seed):
    """Write the tables, measure every step, print the table of results."""
    start = time.perf_counter()
    counts = write_tables(root, scale, seed)
    size_gb = sum(path.stat().st_size for path in (root / VERSION).iterdir()) / 1e9
    print(f"tables: {size_gb:.2f} GB, written in {time.perf_counter() - start:.0f} s; {counts}")
    results = {step: measure(step, root) for step in STEPS}
    index_mb = sum(path.stat().st_size for path in (root / "cache").rglob("*.arrow")) / 1e6
    labels = {
        "build": f"build our index, once ({index_mb:.0f} MB)",
        "ours": f"ours: open the index, {FRAMES_TO_OPEN} frames",
        "theirs": f"devkit: open, {FRAMES_TO_OPEN} frames",
    }
    print(f"{'':44}{'open [s]':>12}{'frames [s]':>12}{'peak [MB]':>12}")
    for step, label in labels.items():
        values = results[step]
        print(f"{label:44}{values['open_s']:12.4f}{values['frames_s']:12.3f}{values['peak_mb']:12.0f}")
    ratio = {key: results["theirs"][key] / results["ours"][key] for key in ("open_s", "peak_mb")}
    print(f"devkit / ours: {ratio['open_s']:.0f} times the time to open, {ratio['peak_mb']:.0f} times the memory")


def main():
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the scenes of v1.0-trainval")
    parser.add_argument("--dest", type=Path, help="parent of the temporary folder (needs about 3 GB)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        run_step(args.step, args.dest)
        return
    with tempfile.TemporaryDirectory(dir=args.dest) as folder:
        os.environ["POINTSAM_CACHE"] = str(Path(folder) / "cache")
        report(Path(folder), args.scale, args.seed)


if __name__ == "__main__":
    main()
