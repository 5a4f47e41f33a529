"""The second stage from points to predictions: features of points, bins of proposals, and refined boxes."""

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from torch import nn  # noqa: E402

from pointsam.detect.boxes import points_within  # noqa: E402
from pointsam.detect.heads.roi import _NO_BOX, RoiHead, RoiHeadConfig, _Cloud  # noqa: E402
from pointsam.detect.nets.grid import MapShape  # noqa: E402
from pointsam.detect.nets.norm import BatchNorm  # noqa: E402
from pointsam.detect.predictions import BatchPredictions, Predictions  # noqa: E402

MAP_SHAPE = MapShape((-10.0, -8.0), (0.8, 0.4), (20, 25))
CONFIG = RoiHeadConfig(cells=3, point_channels=4, channels=8, enlarge_m=0.5)
ROI = torch.tensor([[1.0, -2.0, -0.5, 4.0, 2.0, 1.6, 0.5], [-6.0, -3.0, -0.5, 4.0, 2.0, 1.6, 2.0]])


def head_of(config=CONFIG, **outputs):
    """A head whose layers, by name, give these values."""
    torch.manual_seed(0)
    head = RoiHead(3, 5, MAP_SHAPE, config).eval()
    for name, values in outputs.items():
        getattr(head, name).register_forward_hook(lambda _, __, out, values=values: values.expand_as(out))
    return head


def inputs_of(layer):
    """Filled with what the layer is given."""
    inputs = []
    layer.register_forward_hook(lambda _, given, __: inputs.append(given[0]))
    return inputs


def proposals(score=(0.9, 0.8)):
    return Predictions(ROI, torch.tensor(score), torch.tensor([3, 1]), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))


def roi_features(head, features, samples):
    """Features of the two proposals in each sample, from features of all points."""
    cloud, rois = _Cloud.of(samples), ROI.expand(len(samples), 2, 7)
    _, near = points_within(cloud.xyz, rois, torch.full((2,), CONFIG.enlarge_m / 2))
    return head._roi_features(features, cloud, rois, near)


def in_roi(k, along, aside, up):
    """A point (1,5) at these metres in the frame of a proposal."""
    x, y, z, *_, yaw = ROI[k].tolist()
    c, s = math.cos(yaw), math.sin(yaw)
    return torch.tensor([[x + c * along - s * aside, y + s * along + c * aside, z + up, 0.25, 0.1]])


def test_a_point_has_the_features_of_the_map_at_its_position_and_its_own():
    height, width = MAP_SHAPE.shape
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x = torch.stack([torch.stack([column, row, row * 0 + sample]) for sample in (3, 7)]).float()
    points = [torch.tensor([[-3.3, -4.1, 0.5, 0.2, 0.1]]), torch.tensor([[4.0, -1.0, -0.5, 0.6, 0.0]])]
    head = head_of()
    inputs = inputs_of(head.points)
    head._point_features(x, _Cloud.of(points))
    for given, point, sample in zip(inputs[0], torch.cat(points).tolist(), (3, 7), strict=True):
        at = ((point[0] + 10) / 0.8 - 0.5, (point[1] + 8) / 0.4 - 0.5)
        assert given.tolist() == pytest.approx([*at, sample, *point[2:]], abs=1e-4)


def test_points_are_weighted_by_their_foreground():
    x, cloud = torch.zeros(1, 3, *MAP_SHAPE.shape), _Cloud.of([torch.rand(6, 5)])
    weighted, logits = head_of(foreground=torch.tensor([[2.0]]))._point_features(x, cloud)
    plain, _ = head_of(foreground=torch.tensor([[99.0]]))._point_features(x, cloud)
    assert torch.allclose(weighted, plain / (1 + math.exp(-2)))
    assert plain.abs().max() > 0
    assert (logits == 2).all()


def test_a_point_in_a_proposal_has_its_position_there_the_size_and_its_distance():
    """The proposals are enlarged by 0.5 m along each axis."""
    head = head_of()
    inputs = inputs_of(head.local)
    points = torch.cat([in_roi(0, 2.2, -1.1, 0.9), in_roi(1, -1.0, 0.5, -0.4), in_roi(0, 2.3, 0.0, 0.0)])
    roi_features(head, torch.arange(12.0).view(3, 4), [points])
    sizes = (4.5, 2.5, 2.1)
    expected = [
        [*range(4), 2.2 / 4.5, -1.1 / 2.5, 0.9 / 2.1, *map(math.log, sizes), math.hypot(*points[0, :2]) / 50],
        [*range(4, 8), -1.0 / 4.5, 0.5 / 2.5, -0.4 / 2.1, *map(math.log, sizes), math.hypot(*points[1, :2]) / 50],
    ]
    assert inputs[0].tolist() == [pytest.approx(row, abs=1e-5) for row in expected]  # the third point is outside


@pytest.mark.parametrize(
    ("at", "bin_"),
    [
        ((-2.2, -1.2, -1.0), (0, 0, 0)),
        ((2.2, 0.0, 0.0), (2, 1, 1)),
        ((0.0, 1.2, 0.0), (1, 2, 1)),
        ((0, 0, 1), (1, 1, 2)),
    ],
)
def test_a_proposal_keeps_the_features_of_its_bins_apart(at, bin_):
    head = head_of(local=torch.tensor([[5.0]]))
    inputs = inputs_of(head.trunk)
    samples = [torch.cat([in_roi(0, *at), in_roi(1, 0, 0, 0)]), in_roi(0, *at)]
    roi_features(head, torch.zeros(3, 4), samples)
    x, y, z = bin_
    filled = [[tuple(bin_) for bin_ in (roi[..., 0] == 5).nonzero().tolist()] for roi in inputs[0].view(4, 3, 3, 3, 4)]
    assert filled == [[(z, y, x)], [(1, 1, 1)], [(z, y, x)], []]
    assert set(inputs[0].unique().tolist()) == {0.0, 5.0}


def test_a_row_without_a_box_holds_no_point_however_much_it_is_enlarged():
    rows, center = torch.full((1, 2, 7), _NO_BOX), torch.full((1, 1, 3), _NO_BOX)
    assert not any(held.any() for held in points_within(center, rows, torch.tensor([0.3, 5.0])))


class TestPredictions:
    X, POINTS = torch.zeros(1, 3, *MAP_SHAPE.shape), (torch.zeros(2, 5),)

    def predicted(self, config=CONFIG, residuals=((0.0,) * 7,), confidence=((2.0,),), some=None):
        head = head_of(config, residuals=torch.tensor(residuals), confidence=torch.tensor(confidence))
        with torch.no_grad():
            (out,) = head.predict(self.X, self.POINTS, BatchPredictions.join([some or proposals()]))
        return out

    def test_a_proposal_is_refined_and_keeps_class_and_velocity(self):
        out = self.predicted(residuals=((0, 0, 0.5, 0, 0, math.log(2), 0.1),), confidence=((2.0,), (1.0,)))
        expected = ROI.clone()
        expected[:, 2] += 0.8
        expected[:, 5] *= 2
        expected[:, 6] += 0.1
        assert torch.allclose(out.boxes, expected, atol=1e-5)
        assert out.score.tolist() == pytest.approx([1 / (1 + math.exp(-logit)) for logit in (2, 1)])
        assert (out.class_id.tolist(), out.velocity.tolist()) == ([3, 1], [[1, 2], [3, 4]])

    def test_only_the_best_proposals_are_refined(self):
        out = self.predicted(replace(CONFIG, test_proposals=1), some=proposals((0.1, 0.2)))
        assert out.class_id.tolist() == [1]

    def test_a_low_confidence_is_dropped(self):
        out = self.predicted(replace(CONFIG, score_threshold=0.5), confidence=((-0.1,), (0.0,)))
        assert out.class_id.tolist() == [1]

    def test_a_box_suppresses_those_of_its_class_alone(self):
        twice = Predictions(ROI[[0, 0, 0]], torch.ones(3), torch.tensor([3, 3, 1]), torch.zeros(3, 2))
        out = self.predicted(confidence=((1.0,), (2.0,), (0.0,)), some=twice)
        assert out.class_id.tolist() == [3, 1]
        assert self.predicted(replace(CONFIG, most=1), some=twice).class_id.shape == (1,)

    @pytest.mark.parametrize("turn", [math.pi, -math.pi, 3.0, -3.2, 7.0])
    def test_headings_are_within_half_a_turn(self, turn):
        """Of all numbers of single precision, too: the nearest one to pi is larger than pi."""
        for yaw in (0.0, math.pi, -math.pi, 2.0):
            rois = torch.cat([ROI[:, :6], torch.full((2, 1), yaw)], dim=1)
            some = Predictions(rois, torch.ones(2), torch.tensor([3, 1]), torch.zeros(2, 2))
            out = self.predicted(residuals=((0, 0, 0, 0, 0, 0, turn),), some=some)
            for got in out.boxes[:, 6].tolist():
                assert -math.pi < got <= math.pi
                assert math.cos(got - yaw - turn) == pytest.approx(1, abs=1e-6)

    def test_samples_of_a_batch_are_predicted_as_alone(self):
        torch.manual_seed(1)
        x = torch.randn(3, 3, *MAP_SHAPE.shape)
        points = [torch.cat([in_roi(k % 2, *at) for k, at in enumerate(torch.rand(n, 3).tolist())]) for n in (9, 1, 5)]
        some = [proposals((0.9, 0.1)), proposals((0.2, 0.8)), proposals((0.5, 0.6))[torch.tensor([1])]]
        head = head_of(replace(CONFIG, score_threshold=0.0))
        nn.init.normal_(head.residuals.weight)
        nn.init.normal_(head.confidence.weight)
        with torch.no_grad():
            together = head.predict(x, points, BatchPredictions.join(some))
            for k, predictions in enumerate(together):
                (alone,) = head.predict(x[k : k + 1], points[k : k + 1], BatchPredictions.join(some[k : k + 1]))
                assert len(alone) == len(some[k])
                for one, other in zip(vars(alone).values(), vars(predictions).values(), strict=True):
                    assert torch.allclose(one, other, atol=1e-5)
        assert len({round(score, 4) for p in together for score in p.score.tolist()}) == 5


def test_a_layer_before_a_normalisation_has_no_bias():
    head = head_of()
    biases = {name for name, _ in head.named_parameters() if name.endswith("bias")}
    norms = {f"{name}.bias" for name, layer in head.named_modules() if isinstance(layer, BatchNorm)}
    assert biases == norms | {"foreground.bias", "confidence.bias", "residuals.bias"}


def test_a_fresh_head_refines_nothing_and_takes_almost_every_point_for_background():
    head = head_of()
    rows = torch.randn(50, 8)
    assert head.residuals(rows).abs().max() < 0.05
    assert head.confidence(rows).abs().max() < 0.05
    assert head.foreground.bias.sigmoid().item() == pytest.approx(0.01)
