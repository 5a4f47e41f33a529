"""Sparse convolutions equal dense ones at the occupied sites."""

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from pointsam.base.errors import SchemaError  # noqa: E402
from pointsam.detect.nets import sparse  # noqa: E402
from pointsam.detect.nets.rulebook import SparseTensor  # noqa: E402
from pointsam.detect.nets.sparse import SparseConv3d, SparseSequential, SubMConv3d  # noqa: E402

SHAPE, BATCH = (5, 7, 6), 2


def voxels(channels, share=0.2, seed=0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    coordinate = (torch.rand(BATCH, *SHAPE, generator=draw) < share).nonzero()
    features = torch.randn(len(coordinate), channels, generator=draw, dtype=dtype)
    return SparseTensor(features, coordinate, SHAPE, BATCH)


def dense_twin(layer, grid, occupied):
    """What conv3d makes of the grid, and where a voxel is within its reach."""
    geometry = layer.geometry
    weight = layer.weight.permute(0, 4, 1, 2, 3)
    out = torch.nn.functional.conv3d(grid, weight, layer.bias, geometry.stride, geometry.padding)
    ones = torch.ones(1, 1, *geometry.kernel, dtype=grid.dtype)
    reached = torch.nn.functional.conv3d(occupied, ones, None, geometry.stride, geometry.padding)[:, 0] > 0.5
    return out, reached


STRIDED = [
    ((3, 3, 3), (2, 2, 2), 1),
    ((3, 3, 3), (2, 2, 2), (0, 1, 1)),
    ((3, 1, 1), (2, 1, 1), 0),
    ((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    ((2, 2, 2), (2, 2, 2), 0),
    ((3, 3, 3), (1, 1, 1), 1),
]


@pytest.mark.parametrize(("kernel", "stride", "padding"), STRIDED)
def test_a_strided_convolution_is_the_dense_one_where_it_meets_a_voxel(kernel, stride, padding):
    torch.manual_seed(0)
    layer = SparseConv3d(3, 4, kernel, stride, padding).double()
    x = voxels(3)
    x.features.requires_grad_()
    occupied = x.replace(torch.ones(len(x.features), 1, dtype=torch.float64)).dense()
    expected, reached = dense_twin(layer, x.dense(), occupied)
    y = layer(x)
    assert torch.equal(y.coordinate, reached.nonzero())
    values = expected.permute(0, 2, 3, 4, 1)[reached]
    torch.testing.assert_close(y.features, values)
    check_gradients(layer, x, y.features, values)


@pytest.mark.parametrize("kernel", [(3, 3, 3), (3, 1, 1), (1, 3, 3), 1, 5])
def test_a_submanifold_convolution_is_the_dense_one_at_the_voxels(kernel):
    torch.manual_seed(0)
    layer = SubMConv3d(3, 4, kernel).double()
    x = voxels(3)
    x.features.requires_grad_()
    expected, _ = dense_twin(layer, x.dense(), x.replace(x.features.detach()[:, :1]).dense())
    y = layer(x)
    assert torch.equal(y.coordinate, x.coordinate)
    batch, z, i, j = x.coordinate.T
    values = expected[batch, :, z, i, j]
    torch.testing.assert_close(y.features, values)
    check_gradients(layer, x, y.features, values)


def check_gradients(layer, x, ours, theirs):
    """Of features, weight and bias, for one random direction."""
    pull = torch.randn(ours.shape, dtype=ours.dtype, generator=torch.Generator().manual_seed(1))
    inputs = (x.features, layer.weight, layer.bias)
    for a, b in zip(
        torch.autograd.grad(ours, inputs, pull, retain_graph=True),
        torch.autograd.grad(theirs, inputs, pull),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_layers_of_one_key_share_a_rulebook_and_others_may_not():
    x = voxels(3, dtype=torch.float32)
    y = SubMConv3d(3, 3, 3, indice_key="a")(x)
    book = x.rules["a"]
    SubMConv3d(3, 3, 3, indice_key="a")(y)
    assert y.rules["a"] is book
    with pytest.raises(SchemaError, match="indice_key"):
        SubMConv3d(3, 3, 1, indice_key="a")(x)


def test_weights_are_named_and_laid_out_as_those_of_spconv_2():
    net = SparseSequential(SubMConv3d(3, 8, 3, bias=False), torch.nn.BatchNorm1d(8), SparseConv3d(8, 4, (3, 1, 1)))
    shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    assert shapes["0.weight"] == (8, 3, 3, 3, 3)
    assert shapes["2.weight"] == (4, 3, 1, 1, 8)
    assert shapes["2.bias"] == (4,)


def test_no_voxel_gives_no_voxel():
    none = SparseTensor(torch.zeros(0, 3), torch.zeros(0, 4, dtype=torch.int64), SHAPE, BATCH)
    net = SparseSequential(SubMConv3d(3, 4, 3), torch.nn.ReLU(), SparseConv3d(4, 5, 3, 2, 1))
    assert net(none).features.shape == (0, 5)
    assert net(none).dense().shape == (BATCH, 5, 3, 4, 3)


def test_two_runs_give_the_same_bits():
    torch.manual_seed(0)
    net = SparseSequential(SubMConv3d(3, 8, 3), torch.nn.ReLU(), SparseConv3d(8, 4, 3, 2, 1))
    grads = []
    for _ in range(2):
        net.zero_grad()
        out = net(voxels(3, dtype=torch.float32)).features
        out.square().sum().backward()
        grads.append([out.detach(), *(p.grad.clone() for p in net.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_mixed_precision_stays_near_full_precision():
    torch.manual_seed(0)
    layer, x = SubMConv3d(16, 16, 3), voxels(16, dtype=torch.float32)
    exact = layer(x).features
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = layer(x).features
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - exact).abs().max() < 0.05


@pytest.mark.parametrize("entries", [1, 500, 1 << 20])
def test_the_size_of_a_slice_does_not_matter(entries, monkeypatch):
    layer, x = SubMConv3d(3, 4, 3).double(), voxels(3)
    x.features.requires_grad_()
    whole = layer(x).features
    monkeypatch.setattr(sparse, "_ENTRIES_CPU", entries)
    parts = layer(x).features
    torch.testing.assert_close(parts, whole)
    check_gradients(layer, x, parts, whole)


def test_a_small_net_learns():
    torch.manual_seed(0)
    net = SparseSequential(SubMConv3d(3, 16, 3), torch.nn.ReLU(), SubMConv3d(16, 1, 3))
    x = voxels(3, dtype=torch.float32)
    target = SubMConv3d(3, 1, 3)(x).features.detach()
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    losses = []
    for _ in range(80):
        loss = (net(x).features - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10


@pytest.mark.parametrize(
    "coordinate", [[[0, 0, 0, 1], [0, 0, 0, 0]], [[0, 0, 0, 0], [0, 0, 0, 0]], [[0, 0, 0, 0], [0, 5, 0, 0]]]
)
def test_coordinates_that_are_not_sorted_unique_and_inside_are_refused(coordinate):
    x = SparseTensor(torch.zeros(2, 3), torch.tensor(coordinate), SHAPE, BATCH)
    with pytest.raises(SchemaError, match="SCH003"):
        SubMConv3d(3, 3, 3)(x)


def test_features_and_coordinates_must_fit():
    with pytest.raises(SchemaError, match="SCH003"):
        SparseTensor(torch.zeros(2, 3), torch.zeros(3, 4, dtype=torch.int64), SHAPE, BATCH)


def test_the_host_waits_for_the_numbers_of_pairs_and_voxels_of_strided_convolutions_only(device):
    cpu = voxels(3, dtype=torch.float32)
    features, coordinate = cpu.features.to("cuda").requires_grad_(), cpu.coordinate.to("cuda")
    x = SparseTensor(features, coordinate, SHAPE, BATCH, checked=True)
    for layer, waits in ((SubMConv3d(3, 4, 3), 0), (SparseConv3d(3, 4, 3, 2, 1), 2)):
        layer = layer.to("cuda")
        with device.counted() as counted:
            layer(x).features.sum().backward()
        assert sum(counted.stalls.values()) == waits, counted.stalls
