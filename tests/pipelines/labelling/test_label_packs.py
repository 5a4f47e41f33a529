"""Label files that do not fit their sweeps: named by check, and left out of eval, frame by frame."""

import numpy as np
import pytest
from helpers.commands import label
from helpers.semantic_root import AHEAD, make_semantic
from helpers.training import make_labels

CAR, ROAD = 10 | 7 << 16, 40
FRAME = "08_000001"


def damage(path, what):
    values = np.fromfile(path, "<u4")
    if what == "short":
        values[:-1].tofile(path)
    elif what == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    elif what == "long":
        np.append(values, ROAD).astype("<u4").tofile(path)
    elif what == "empty":
        path.write_bytes(b"")
    else:
        np.where(values == ROAD, 9, values).astype("<u4").tofile(path)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("short", "39 labels (156 bytes), but the sweep has 40 points"),
        ("cut", "39 labels (157 bytes)"),
        ("long", "41 labels"),
        ("empty", "0 labels"),
        ("mapped", "labels that SemanticKITTI does not have: 9"),
    ],
)
def test_a_label_file_that_does_not_fit_is_named_and_left_out(tmp_path, what, words):
    world = make_semantic(tmp_path / "data", points=[AHEAD] * 40, values=[CAR] * 20 + [ROAD] * 20)
    out = tmp_path / "out"
    make_labels(out, world)
    whole = label("eval", out, world.root)
    assert whole.exit_code == 0, whole.output
    path = world.root / "sequences" / "08" / "labels" / "000001.label"
    damage(path, what)
    checked = label("check", world.root)
    assert "[ground-truth]" in checked.output
    assert f"{FRAME}: [DAT011] {path} has {words}" in checked.output
    scored = label("eval", out, world.root)
    assert scored.exit_code == 3
    assert FRAME in scored.output
    assert words in scored.output
    assert "2 frames" in scored.output
