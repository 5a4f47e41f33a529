"""Errors of cameras before and after `pointsam-label calibrate`, for known calibration errors.

    python scripts/recovered_calibration.py ROOT FOUND [FOUND ...]

ROOT has the true calibration. Each FOUND is a file that `calibrate --noise` wrote; it names the error. Rotation and
translation partly compensate each other, so the angular error of points at 20 m is printed as well, with the
uncertainty in the file.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from pointsam.calibration.correction import corrected, rig_of
from pointsam.calibration.estimate import points_at_20_m
from pointsam.calibration.file import read_calibration_file
from pointsam.calibration.perturb import CLEAN, noise_of, perturb
from pointsam.datasets import open_dataset


def by_axis(true, found, result):
    """(6,) errors about and along the axes of a camera, divided by their uncertainties."""
    off = true.ego_SE3_cam.inverse() @ found.ego_SE3_cam
    turn = Rotation.from_matrix(off.rotation).as_rotvec(degrees=True)
    return np.abs([*turn, *off.translation_m]) / [*result.rotation_doubt_deg, *result.translation_doubt_m]


def errors(true, found):
    """Error of a mounting: degrees, centimetres, and root mean square degrees of points at 20 m."""
    off = true.ego_SE3_cam.inverse() @ found.ego_SE3_cam
    angle = np.degrees(np.arccos(np.clip((np.trace(off.rotation) - 1) / 2, -1, 1)))
    points = points_at_20_m(true)
    rays, seen = (xyz / np.linalg.norm(xyz, axis=1, keepdims=True) for xyz in (points, off.apply(points)))
    return angle, 100 * np.linalg.norm(off.translation_m), np.degrees(np.sqrt(((seen - rays) ** 2).sum(axis=1).mean()))


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("found", type=Path, nargs="+")
    args = parser.parse_args()
    dataset = open_dataset(args.root)
    before, after, within, axes = [], [], [], []
    print("camera           status    before: deg    cm  at 20 m   after: deg    cm  at 20 m   uncertainty")
    for path in args.found:
        document = read_calibration_file(path)
        error = document.calibration_perturbation
        print(f"{path}: {error}")
        noise = CLEAN if error == "none" else noise_of(error.split(", "))
        corrections = {rig: result.correction() for rig, result in document.rigs.items()}
        done = set()
        for frame_id in dataset.frame_ids(None):
            true = dataset.frame(frame_id)
            wrong = perturb(true, noise)
            rig = rig_of(wrong)
            if rig not in done and rig in corrections:
                done.add(rig)
                result = document.rigs[rig]
                results = result.cameras
                left = noise.time_ms + 1e3 * corrections[rig].time_s
                uncertainty = "-" if (uncertainty_ms := result.time_doubt_ms) is None else f"{uncertainty_ms:.1f}"
                print(f"time {result.time_status}: {noise.time_ms:+.1f} -> {left:+.1f} ms, uncertainty {uncertainty}")
                right = corrected(wrong, corrections[rig])
                for view, off, back in zip(true.cameras, wrong.cameras, right.cameras, strict=True):
                    camera = results[view.name]
                    before.append(errors(view, off))
                    after.append(errors(view, back))
                    uncertainty = np.nan if camera.doubt_deg is None else camera.doubt_deg
                    if camera.status == "mended":
                        within.append(after[-1][2] / uncertainty)
                        axes.append(by_axis(view, back, camera))
                    figures = (*before[-1], *after[-1], uncertainty)
                    row = "{:11.2f} {:5.1f} {:8.2f} {:12.2f} {:5.1f} {:8.2f} {:7.2f}".format(*figures)
                    print(f"{view.name:<16} {camera.status:<8} {row}")
            if len(done) == len(corrections):
                break
    for name, found in (("before", before), ("after", after)):
        print("median {}: {:.2f} degrees, {:.1f} cm, {:.2f} degrees at 20 m".format(name, *np.median(found, axis=0)))
    kinds = {
        "at 20 m": within,
        "of the angle by axis": [row[:3] for row in axes],
        "of the position by axis": [row[3:] for row in axes],
    }
    for name, ratio in kinds.items() if within else ():
        fractions = ", ".join(f"{np.mean(np.array(ratio) < k):.0%} within {k}" for k in (1, 2, 3))
        print(f"{len(within)} corrected cameras, error {name} in units of its uncertainty: {fractions}")


if __name__ == "__main__":
    main()
