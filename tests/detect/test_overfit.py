"""Each detector, given every box of four frames, learns them by heart: average precision above 0.99."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.recipes import STILL, tiny  # noqa: E402
from helpers.training import CLASSES, make_budget, make_world  # noqa: E402

from pipelines.training.score import score  # noqa: E402
from pointsam.detect.data.coarse import CoarseConfig  # noqa: E402
from pointsam.detect.data.training_set import DataConfig, TrainingSet  # noqa: E402
from pointsam.detect.infer import InferConfig, detect_frames  # noqa: E402
from pointsam.detect.train import Trainer  # noqa: E402


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world") / "root", scenes=("scene-0061",))


KINDS = ("center-pillar", "center-refined", "center-voxel", "second", "second-centers", "two-stage", "two-stage-center")


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_four_frames_are_learnt_by_heart(kind, world):
    torch.manual_seed(0)
    data = DataConfig(coarse=CoarseConfig("none"), augment=STILL, resample="none")
    recipe = replace(tiny(kind, epochs=150, batch_size=4, learning_rate=0.01), data=data)
    budget = make_budget(world, 1.0)
    fed = TrainingSet(world, budget, None, CLASSES, recipe.detector.grid.range_m, data)
    trainer = Trainer(recipe, fed, world.taxonomy, torch.device("cpu"))
    for _ in trainer.run():
        pass
    predictions = list(detect_frames(trainer.model, world, world.frame_ids(), InferConfig(data.points, 3)))
    quality = score(world, predictions, {}, world.taxonomy.names).quality
    assert quality.mean_ap > 0.99, quality
    assert max(c.yaw_rad for c in quality.classes if c.num_objects) < 0.2
