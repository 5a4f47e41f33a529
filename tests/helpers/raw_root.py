"""A tiny KITTI raw folder of made-up files."""

from types import SimpleNamespace

import numpy as np
from helpers.tracking_root import AHEAD, FAR, northwards
from PIL import Image

DATE = "2011_09_26"
CAM_TO_CAM = """calib_time: 09-Jan-2012 13:57:47
S_rect_02: 1.000000e+02 8.000000e+01
R_rect_00: 1 0 0 0 1 0 0 0 1
P_rect_02: 100 0 50 -6 0 100 40 0.5 0 0 1 0.01
P_rect_03: 100 0 50 40 0 100 40 0.5 0 0 1 0.01
"""
VELO_TO_CAM = "calib_time: 15-Mar-2012 11:37:16\nR: 0 -1 0 0 0 -1 1 0 0\nT: 0 -0.1 -0.3\n"
IMU_TO_VELO = "calib_time: 25-May-2012 16:47:16\nR: 1 0 0 0 1 0 0 0 1\nT: -0.8 0.3 -0.8\n"
START = np.datetime64("2011-09-26T13:02:25.000000000", "ns")


def stamp(t_s):
    return str(START + np.timedelta64(round(t_s * 1e9), "ns")).replace("T", " ")


def stamps(times_s):
    """A file of time stamps; None is an empty line."""
    return "".join(("" if t is None else stamp(t)) + "\n" for t in times_s)


def pose(x=10.0, y=0.0, z=-1.7, rz=0.0, occlusion=0, truncation=0):
    values = {"tx": x, "ty": y, "tz": z, "rx": 0, "ry": 0, "rz": rz}
    values |= {"state": 2, "occlusion": occlusion, "truncation": truncation}
    return "<item>" + "".join(f"<{k}>{v}</{k}>" for k, v in values.items()) + "</item>"


def tracklet(poses, kind="Car", first=0, size=(1.5, 1.6, 4.0)):
    height, width, length = size
    head = f"<objectType>{kind}</objectType><h>{height}</h><w>{width}</w><l>{length}</l>"
    head += f"<first_frame>{first}</first_frame>"
    listed = f"<poses><count>{len(poses)}</count>{''.join(poses)}</poses>"
    return f"<item>{head}{listed}<finished>1</finished></item>"


def tracklets(*items):
    """The text of tracklet_labels.xml."""
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>\n<!DOCTYPE boost_serialization>\n'
    listed = f"<tracklets><count>{len(items)}</count>{''.join(items)}</tracklets>"
    return f"{head}<boost_serialization>{listed}</boost_serialization>"


def make_raw(root, drives=("0001", "0002"), frames=3, cameras=("image_02", "image_03"), oxts=True, shift_s=0.0):
    """Drives with one car, tracklet 0, that stays 10 m ahead; `path` names a file or folder of one.

    Images are taken `shift_s` after the sweeps, which have the times of oxts.
    """
    date = root / DATE
    for number in drives:
        drive = date / f"{DATE}_drive_{number}_sync"
        times = [0.1 * k for k in range(frames)]
        sensors = {"velodyne_points": times, **{name: [t + shift_s for t in times] for name in cameras}}
        sensors |= {"oxts": times} if oxts else {}
        for sensor, at in sensors.items():
            (drive / sensor / "data").mkdir(parents=True)
            (drive / sensor / "timestamps.txt").write_text(stamps(at))
        for k in range(frames):
            np.asarray([AHEAD, FAR], dtype="<f4").tofile(drive / "velodyne_points" / "data" / f"{k:010d}.bin")
            for name in cameras:
                Image.new("RGB", (100, 80)).save(drive / name / "data" / f"{k:010d}.png")
        for k, line in enumerate(northwards(frames).splitlines() if oxts else ()):
            (drive / "oxts" / "data" / f"{k:010d}.txt").write_text(line + "\n")
        (drive / "tracklet_labels.xml").write_text(tracklets(tracklet([pose() for _ in range(frames)])))
    texts = {"cam_to_cam": CAM_TO_CAM, "velo_to_cam": VELO_TO_CAM, "imu_to_velo": IMU_TO_VELO}
    for name, text in texts.items():
        (date / f"calib_{name}.txt").write_text(text)

    def path(*parts, drive=drives[0]):
        return (date / f"{DATE}_drive_{drive}_sync").joinpath(*parts)

    return SimpleNamespace(root=root, date=date, path=path)
