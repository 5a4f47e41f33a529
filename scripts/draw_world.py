"""Draw a key frame of a synthetic root with its ground truth, optionally with a real one to the right.

python scripts/draw_world.py docs/world.jpg WORLD [--frame 1] [--real /data/nuscenes]
"""

import argparse
from pathlib import Path

from PIL import Image

from pointsam.datasets.io import read_image
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.datasets.points import read_frame_points
from pointsam.report.compose import draw_frame


def draw(root, position):
    """The picture of `pointsam-label inspect`, with ground truth in place of clusters."""
    dataset = NuScenes(root)
    frame = dataset.frame(dataset.frame_ids()[position])
    return draw_frame(
        frame,
        {view.name: read_image(view.source) for view in frame.cameras},
        read_frame_points(frame).xyz_lidar_m,
        dataset.point_truth(frame.frame_id).labels,
        {},
        dataset.boxes(frame.frame_id),
        dataset.taxonomy,
    )


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("world", type=Path)
    parser.add_argument("--frame", type=int, default=0)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--width", type=int, default=1600, help="width of each frame in pixels")
    args = parser.parse_args()
    pictures = [draw(args.world, args.frame), *([draw(args.real, 0)] if args.real else [])]
    pictures = [p.resize((args.width, round(args.width * p.height / p.width))) for p in pictures]
    sheet = Image.new("RGB", (args.width * len(pictures), max(p.height for p in pictures)))
    for k, picture in enumerate(pictures):
        sheet.paste(picture, (k * args.width, 0))
    sheet.save(args.picture, quality=88, optimize=True)


if __name__ == "__main__":
    main()
