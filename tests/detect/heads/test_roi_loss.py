"""The second stage's losses: points, confidence, residuals and corners (docs/method.md B.8)."""

import math
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers import rois_by_sample  # noqa: E402
from helpers.detect_labels import joined, labels_of  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from pointsam.detect import boxes as boxes_module  # noqa: E402
from pointsam.detect.assign.roi import RoiTargets, roi_targets  # noqa: E402
from pointsam.detect.heads.roi import RoiHead, RoiHeadConfig  # noqa: E402
from pointsam.detect.labels import SampleLabels  # noqa: E402
from pointsam.detect.nets.grid import MapShape  # noqa: E402
from pointsam.detect.predictions import BatchPredictions, Predictions  # noqa: E402

MAP_SHAPE = MapShape((-10.0, -8.0), (0.8, 0.8), (20, 25))
CONFIG = RoiHeadConfig(
    cells=2,
    point_channels=4,
    channels=8,
    confidence_weight=1.5,
    box_weight=2.0,
    corner_weight=2.5,
    point_weight=3.0,
)
BOX = torch.tensor([[1.0, -2.0, -0.5, 4.0, 2.0, 1.6, 0.5]])
ONE, NONE = torch.zeros(1, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)


def losses_of(labels, proposals, **outputs):
    """Losses of a head with these outputs: `foreground` of points, `confidence` and `residuals` of proposals."""
    head = RoiHead(3, 5, MAP_SHAPE, CONFIG).eval()
    for name, values in outputs.items():
        getattr(head, name).register_forward_hook(lambda _, __, out, values=values: values.expand_as(out))
    x, draws = torch.zeros(len(labels), 3, *MAP_SHAPE.shape), torch.Generator().manual_seed(0)
    losses = head.loss(x, points_of(labels), BatchPredictions.join(proposals), joined(*labels), draws)
    return {name.removeprefix("roi "): value.item() for name, value in losses.items()}


def points_of(labels):
    return [torch.cat([sample_labels.xyz, torch.zeros(len(sample_labels.xyz), 2)], dim=1) for sample_labels in labels]


def targets_of(labels, proposals):
    """Targets of each sample, from its own matches and the draws of the batch."""
    most, matches = max(map(len, proposals)), []
    for sample_labels, some in zip(labels, proposals, strict=True):
        match = rois_by_sample.match_rois(sample_labels, some.boxes, some.class_id)
        pad = most - len(some)
        columns = {"there": torch.ones(len(some), dtype=torch.bool)} | vars(match)
        matches.append({name: functional.pad(column, (0, pad)) for name, column in columns.items()})
    both = SimpleNamespace(**{name: torch.stack([match[name] for match in matches]) for name in matches[0]})
    targets = roi_targets(both, CONFIG.sampling, torch.Generator().manual_seed(0))
    return [RoiTargets(*(column[k] for column in vars(targets).values())) for k in range(len(labels))]


def proposals_of(boxes, classes):
    return Predictions(boxes, torch.ones(len(boxes)), classes, torch.zeros(len(boxes), 2))


def focal(logit, positive):
    right = 1 / (1 + math.exp(-logit if positive else logit))
    return (0.25 if positive else 0.75) * (1 - right) ** 2 * -math.log(right)


def rounded_off(apart, beta):
    return apart**2 / 2 / beta if abs(apart) < beta else abs(apart) - beta / 2


class TestPoints:
    @staticmethod
    def plain(labels, logits):
        """Point by point: of an object, in the ring of a box or unknown, or background."""
        total, positives = 0.0, 0
        every = [(sample_labels, p) for sample_labels in labels for p in range(len(sample_labels.xyz))]
        for (sample_labels, p), logit in zip(every, logits, strict=True):
            positive = sample_labels.cluster_id[p].item() >= 0 or held(sample_labels, p)
            if positive or not (held(sample_labels, p, larger_m=0.2) or sample_labels.unknown[p]):
                total += focal(logit, positive)
                positives += positive
        return total / max(positives, 1)

    @pytest.mark.parametrize(("boxes", "clusters"), [((6, 3), (5, 8)), ((0, 4), (6, 0)), ((0, 0), (0, 0))])
    def test_both_kinds_of_objects_are_foreground_and_the_foreground_of_the_batch_divides(
        self, boxes, clusters, rng_of
    ):
        rng = rng_of(0)
        labels = [labels_of(rng, *counts) for counts in zip(boxes, clusters, strict=True)]
        logits = rng.normal(0, 2, sum(len(sample_labels.xyz) for sample_labels in labels))
        anywhere = [proposals_of(BOX, ONE)] * 2
        losses = losses_of(labels, anywhere, foreground=torch.from_numpy(logits).float()[:, None])
        assert losses["point"] == pytest.approx(3.0 * self.plain(labels, logits.tolist()), rel=1e-4)

    @pytest.mark.parametrize(
        ("beyond_m", "cluster", "unknown", "taken_for"),
        [
            (-0.01, False, False, "object"),
            (-0.01, False, True, "object"),
            (0.01, False, False, "nothing"),
            (0.09, False, False, "nothing"),
            (0.11, False, False, "background"),
            (0.11, False, True, "nothing"),
            (0.09, True, False, "object"),
            (5.0, True, True, "object"),
        ],
    )
    @pytest.mark.parametrize("axis", range(3))
    def test_a_box_has_a_ring_of_a_tenth_of_a_metre(self, axis, beyond_m, cluster, unknown, taken_for):
        """Enlarged by 0.2 m an axis, it reaches 0.1 m farther at either side."""
        local = [0.0, 0.0, 0.0]
        local[axis] = BOX[0, 3 + axis].item() / 2 + beyond_m
        c, s = math.cos(0.5), math.sin(0.5)
        offset = torch.tensor([c * local[0] - s * local[1], s * local[0] + c * local[1], local[2]])
        xyz = torch.stack([BOX[0, :3] + offset, BOX[0, :3]])
        ids, doubts = torch.tensor([0 if cluster else -1, -1]), torch.tensor([unknown, False])
        labels = SampleLabels(BOX, ONE, torch.zeros(1, 2), BOX[:, :3], ONE, xyz[:1], ONE + 1, xyz, ids, doubts)
        losses = losses_of([labels], [proposals_of(BOX, ONE)], foreground=torch.tensor([[2.0], [0.0]]))
        middle = focal(0.0, True)
        expected = {
            "object": (focal(2.0, True) + middle) / 2,
            "nothing": middle,
            "background": focal(2.0, False) + middle,
        }
        assert losses["point"] == pytest.approx(3.0 * expected[taken_for], rel=1e-5)


def held(labels, p, larger_m=0.0):
    """Whether a point lies in a box."""
    for x, y, z, *size, yaw in labels.boxes.tolist():
        dx, dy, dz = (a - b for a, b in zip(labels.xyz[p].tolist(), (x, y, z), strict=True))
        local = (dx * math.cos(yaw) + dy * math.sin(yaw), dy * math.cos(yaw) - dx * math.sin(yaw), dz)
        if all(abs(offset) <= (length + larger_m) / 2 for offset, length in zip(local, size, strict=True)):
            return True
    return False


def around(labels, rng, count=60):
    """Proposals near boxes and clusters, some of them good."""
    centers = torch.cat([labels.boxes[:, :3], labels.cluster_center])
    shapes = torch.cat(
        [labels.boxes[:, 3:], torch.tensor([[2.5, 1.2, 1.7, 0.3]]).expand(len(labels.cluster_center), 4)]
    )
    near = torch.from_numpy(rng.integers(0, len(centers), count))
    shift = torch.from_numpy(rng.normal(0, 0.1, (count, 3)) * rng.choice([1, 8], (count, 1))).float()
    boxes = torch.cat([centers[near] + shift, shapes[near]], dim=1)
    return proposals_of(boxes, torch.cat([labels.box_class, labels.cluster_class])[near])


class TestProposals:
    @staticmethod
    def plain(labels, proposals, confidence, residuals):
        """Proposal by proposal: what counts divides confidence, what regresses a box the other two."""
        start, of_samples = 0, targets_of(labels, proposals)
        cross = box = corner = counted = boxed = 0.0
        for sample_labels, some, targets in zip(labels, proposals, of_samples, strict=True):
            for t, roi in enumerate(some.boxes[targets.proposal].tolist()):
                if targets.counted[t]:
                    target, logit = targets.confidence[t].item(), confidence[start + t].item()
                    cross += math.log(1 + math.exp(logit)) - target * logit
                    counted += 1
                if targets.box[t] >= 0:
                    true_box = sample_labels.boxes[targets.box[t]].tolist()
                    predicted = residuals[start + t].tolist()
                    box += sum(
                        rounded_off(a - b, 1 / 9) for a, b in zip(predicted, target_of(true_box, roi), strict=True)
                    )
                    corner += plain_corners(refined(predicted, roi), true_box)
                    boxed += 1
            start += len(targets.proposal)
        return {
            "confidence": 1.5 * cross / max(counted, 1),
            "box": 2.0 * box / max(boxed, 1),
            "corner": 2.5 * corner / max(boxed, 1),
        }, (start, counted, boxed)

    @pytest.mark.parametrize("seed", range(2))
    def test_confidence_is_divided_by_what_counts_and_geometry_by_what_met_a_box(self, seed, rng_of):
        rng = rng_of(seed)
        labels = [labels_of(rng, boxes=6, clusters=8), labels_of(rng, boxes=2, clusters=5)]
        proposals = [around(sample_labels, rng) for sample_labels in labels]
        confidence, residuals = (torch.from_numpy(rng.normal(0, 0.5, (256, n))).float() for n in (1, 7))
        expected, (rois, counted, boxed) = self.plain(labels, proposals, confidence[:, 0], residuals)
        assert 0 < boxed < counted < rois == 256
        losses = losses_of(labels, proposals, confidence=confidence, residuals=residuals)
        del losses["point"]
        assert losses == pytest.approx(expected, rel=1e-4)

    @pytest.mark.parametrize("tested", [1 << 24, 2000])
    def test_losses_and_gradients_are_those_of_the_slow_twin(self, tested, rng_of, monkeypatch):
        """Sample by sample, with a network whose layers all work."""
        monkeypatch.setattr(boxes_module, "_TESTED", tested)
        rng = rng_of(5)
        labels = [labels_of(rng, *counts) for counts in ((6, 8), (0, 5), (3, 0))]
        proposals = [around(sample, rng, count) for sample, count in zip(labels, (60, 9, 44), strict=True)]
        torch.manual_seed(0)
        head, points = RoiHead(3, 5, MAP_SHAPE, CONFIG).train(), points_of(labels)
        for layer in (head.residuals, head.confidence, head.foreground):
            nn.init.normal_(layer.weight, std=0.5)
        x, found = torch.randn(3, 3, *MAP_SHAPE.shape, requires_grad=True), []
        for twin in (False, True):
            if twin:
                losses = rois_by_sample.losses(head, x, points, proposals, labels, targets_of(labels, proposals))
            else:
                draws = torch.Generator().manual_seed(0)
                losses = head.loss(x, points, BatchPredictions.join(proposals), joined(*labels), draws)
            gradients = torch.autograd.grad(sum(losses.values()), [x, *head.parameters()])
            found.append((losses, gradients))
        (losses, gradients), (plain, slow) = found
        assert list(losses) == list(plain)
        for name, value in losses.items():
            assert value.item() == pytest.approx(plain[name].item(), rel=1e-4)
            assert value > 0
        for one, other in zip(gradients, slow, strict=True):
            assert torch.allclose(one, other, rtol=1e-3, atol=1e-5 * other.abs().max().item())

    @pytest.mark.parametrize(("raised_m", "corner"), [(0.2, 0.2**2 / 2), (0.0, 0.0), (3.0, 2.5)])
    @pytest.mark.parametrize("turn", [0.0, math.pi])
    def test_a_proposal_refined_to_a_known_error(self, raised_m, corner, turn):
        """Corners: half the square below a metre, the distance less a half above; whichever way the box faces."""
        turned = BOX + torch.tensor([0, 0, 0, 0, 0, 0, turn])
        background = BOX + torch.tensor([0, 0, 9.0, 0, 0, 0, 0])  # dilutes nothing but confidence
        rois = torch.cat([turned, background.expand(50, 7)])
        labels = SampleLabels(
            BOX, ONE, torch.zeros(1, 2), BOX[:, :3], NONE, BOX[:0, :3], NONE, BOX[:, :3], ONE - 1, ONE > 0
        )
        residuals = torch.tensor([[0, 0, raised_m / 1.6, 0, 0, 0, 0]])
        losses = losses_of(
            [labels], [proposals_of(rois, ONE.expand(51))], residuals=residuals, confidence=ONE[None] * 0.0
        )
        assert losses["corner"] == pytest.approx(2.5 * corner, abs=1e-5)
        assert losses["box"] == pytest.approx(2.0 * rounded_off(raised_m / 1.6, 1 / 9), abs=1e-5)
        assert losses["confidence"] == pytest.approx(1.5 * math.log(2))

    def test_without_proposals_only_points_have_a_loss(self, rng_of):
        """A first stage whose scores are NaN gives none: the error is then about the NaN, not about a shape."""
        losses = losses_of([labels_of(rng_of(0), boxes=2, clusters=3)], [proposals_of(BOX[:0], NONE)])
        assert losses["confidence"] == losses["box"] == losses["corner"] == 0
        assert losses["point"] > 0

    def test_a_cluster_teaches_confidence_alone(self):
        """It holds all points of the proposal and no other."""
        xyz = BOX[:, :3] + torch.linspace(-0.5, 0.5, 9)[:, None]
        ids = torch.zeros(9, dtype=torch.int64)
        none = torch.zeros(0, 2)
        labels = SampleLabels(BOX[:0], NONE, none, BOX[:0, :3], ONE, BOX[:, :3], ONE + 9, xyz, ids, ids > 0)
        losses = losses_of([labels], [proposals_of(BOX, ONE)], confidence=torch.tensor([[2.0]]))
        assert (losses["box"], losses["corner"]) == (0, 0)
        assert losses["confidence"] == pytest.approx(1.5 * math.log(1 + math.exp(-2)), rel=1e-5)


def target_of(true_box, roi):
    """Residuals of a box in the frame of a proposal, its yaw modulo 180 degrees."""
    (x, y, z, *size, yaw), (rx, ry, rz, *large, turn) = true_box, roi
    dx, dy = x - rx, y - ry
    diagonal = math.hypot(*large[:2])
    along, aside = dx * math.cos(turn) + dy * math.sin(turn), dy * math.cos(turn) - dx * math.sin(turn)
    off = (yaw - turn + math.pi / 2) % math.pi - math.pi / 2
    logs = [math.log(a / b) for a, b in zip(size, large, strict=True)]
    return [along / diagonal, aside / diagonal, (z - rz) / large[2], *logs, off]


def refined(residuals, roi):
    """The box that residuals make of a proposal."""
    dx, dy, dz, *logs, off = residuals
    x, y, z, *large, turn = roi
    diagonal = math.hypot(*large[:2])
    along, aside = dx * diagonal, dy * diagonal
    middle = (
        x + along * math.cos(turn) - aside * math.sin(turn),
        y + along * math.sin(turn) + aside * math.cos(turn),
        z + dz * large[2],
    )
    return [*middle, *(math.exp(a) * b for a, b in zip(logs, large, strict=True)), turn + off]


def corners(box, turn=0.0):
    x, y, z, length, width, height, yaw = box
    c, s = math.cos(yaw + turn), math.sin(yaw + turn)
    signs = [(a, b, h) for h in (-1, 1) for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    local = [(a * length / 2, b * width / 2, h * height / 2) for a, b, h in signs]
    return [(x + c * a - s * b, y + s * a + c * b, z + h) for a, b, h in local]


def plain_corners(predicted, true_box):
    """Mean over corners of how far each is from its own, of the box or of the box turned by 180 degrees."""
    ways = zip(corners(predicted), corners(true_box), corners(true_box, math.pi), strict=True)
    return sum(rounded_off(min(math.dist(a, b), math.dist(a, c)), 1.0) for a, b, c in ways) / 8
