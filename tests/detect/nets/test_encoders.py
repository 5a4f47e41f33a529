"""Encoders from points to feature maps, and the neck."""

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from pointsam.base.errors import SchemaError  # noqa: E402
from pointsam.detect.nets.encoders import EncoderConfig, Neck, NeckConfig  # noqa: E402
from pointsam.detect.nets.grid import Grid  # noqa: E402
from pointsam.detect.nets.norm import BatchNorm  # noqa: E402

PILLARS = Grid((-8.0, -4.8, -3.0, 8.0, 4.8, 1.0), (0.4, 0.4, 4.0))
VOXELS = Grid((-8.0, -4.8, -3.0, 8.0, 4.8, 1.0), (0.2, 0.2, 0.1))
SMALL = EncoderConfig(pillar_channels=6, voxel_channels=(4, 5, 6, 8), voxel_out=5)
KINDS = [(PILLARS, "pillar", True), (VOXELS, "voxel", True), (VOXELS, "voxel", False)]


def cloud(count=600, seed=0):
    generator = torch.Generator().manual_seed(seed)
    xyz = (torch.rand(count, 3, generator=generator) - 0.5) * torch.tensor([15.0, 9, 3.5]) - torch.tensor([0, 0, 1.0])
    return torch.cat([xyz, torch.rand(count, 2, generator=generator)], dim=1)


def encoder_of(grid, kind, residual):
    torch.manual_seed(0)
    config = EncoderConfig(kind, 6, (4, 5, 6, 8), 5, residual)  # type: ignore[arg-type]
    return config.build(grid, 5).eval()


@pytest.mark.parametrize(("grid", "kind", "residual"), KINDS)
def test_a_map_is_an_eighth_or_all_of_the_grid(grid, kind, residual):
    encoder = encoder_of(grid, kind, residual)
    feature_map = encoder(cloud(), torch.arange(600) % 2, 3)
    w, h, _ = grid.shape
    assert feature_map.shape == (3, encoder.channels, h // encoder.stride, w // encoder.stride)
    assert (feature_map[2] == 0).all()  # a sample without points
    assert (feature_map[0] != 0).any()


@pytest.mark.parametrize(("grid", "kind", "residual"), KINDS)
def test_samples_do_not_mix_and_the_order_of_points_does_not_matter(grid, kind, residual):
    encoder = encoder_of(grid, kind, residual)
    points, sample = cloud(), torch.arange(600) % 2
    together = encoder(points, sample, 2)
    alone = encoder(points[sample == 1], torch.zeros(300, dtype=torch.int64), 1)
    assert torch.allclose(together[1], alone[0], atol=1e-5)
    shuffled = torch.randperm(600, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(encoder(points[shuffled], sample[shuffled], 2), together, atol=1e-5)


@pytest.mark.parametrize(("grid", "kind", "residual"), KINDS)
def test_the_map_lies_where_the_points_do(grid, kind, residual):
    """Rows are y, columns x; points of a corner move that corner of the map and no other."""
    encoder = encoder_of(grid, kind, residual)
    for x, y in ((-7.9, -4.7), (7.9, -4.7), (-7.9, 4.7), (7.9, 4.7)):
        points = torch.tensor([[x, y, -1.0, 0.5, 0.0]]) * (1 - torch.linspace(0, 0.1, 40)[:, None])
        feature_map = encoder(points, torch.zeros(40, dtype=torch.int64), 1)[0].abs().sum(dim=0)
        assert (feature_map > 0).any()
        row, column = (feature_map > 0).nonzero().float().mean(dim=0).tolist()
        height, width = feature_map.shape
        assert (row > height / 2) == (y > 0)
        assert (column > width / 2) == (x > 0)


@pytest.mark.parametrize(("grid", "kind", "residual"), KINDS)
def test_a_layer_before_a_normalisation_has_no_bias(grid, kind, residual):
    encoder = encoder_of(grid, kind, residual)
    neck = Neck(encoder.channels, NeckConfig((1, 1), (1, 2), (4, 4), (4, 4), 1))
    biases = {name for net in (encoder, neck) for name, _ in net.named_parameters() if name.endswith("bias")}
    norms = {name for net in (encoder, neck) for name, m in net.named_modules() if isinstance(m, BatchNorm)}
    assert biases == {f"{name}.bias" for name in norms}


@pytest.mark.parametrize(("grid", "kind", "residual"), KINDS)
def test_every_weight_gets_a_gradient(grid, kind, residual):
    encoder = encoder_of(grid, kind, residual).train()
    encoder(cloud(), torch.arange(600) % 2, 2).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("grid", "kind", "residual"), KINDS)
def test_a_sweep_without_points_is_an_empty_map(grid, kind, residual, training):
    none = torch.zeros(0, dtype=torch.int64)
    encoder = encoder_of(grid, kind, residual).train(training)
    w, h, _ = grid.shape
    feature_map = encoder(torch.zeros(0, 5), none, 1)
    assert feature_map.shape == (1, encoder.channels, h // encoder.stride, w // encoder.stride)
    assert (feature_map == 0).all()


def test_pillars_need_one_layer():
    with pytest.raises(SchemaError, match="pillars as high as the range"):
        SMALL.build(VOXELS, 5)


@pytest.mark.parametrize("out_stride", [1, 2, 4])
def test_stages_are_brought_to_one_resolution(out_stride):
    neck = Neck(6, NeckConfig((1, 1), (2, 2), (8, 12), (4, 5), out_stride))
    assert neck(torch.zeros(2, 6, 24, 40)).shape == (2, 9, 24 // out_stride, 40 // out_stride)
    assert (neck.channels, neck.stride) == (9, out_stride)


def test_stages_of_unequal_lists_are_refused():
    with pytest.raises(SchemaError, match=r"neck\.layers"):
        NeckConfig(layers=(3,))


@pytest.mark.parametrize(("grid", "kind", "residual"), KINDS)
def test_positions_are_read_in_full_precision_in_mixed_precision_too(grid, kind, residual):
    encoder = encoder_of(grid, kind, residual)
    read = []
    first = encoder.layer if kind == "pillar" else encoder.first
    first.register_forward_hook(lambda _, __, out: read.append(getattr(out, "features", out)))
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            encoder(cloud(), torch.arange(600) % 2, 2)
    assert torch.equal(*read)
    assert read[0].dtype == torch.float32
