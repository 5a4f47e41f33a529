"""Sparse convolutions by spconv-triton equal those of torch.

Where the package and a GPU are, its kernels run. Without a GPU, TRITON_INTERPRET=1 runs the small cases in Triton's
interpreter, which knows no bf16. Elsewhere a twin in plain torch stands for the package.
"""

import os
import sys
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.triton_twin import TWIN  # noqa: E402

from pointsam.base.errors import BackendError, SchemaError  # noqa: E402
from pointsam.detect.detector import Detector  # noqa: E402
from pointsam.detect.nets import sparse_triton  # noqa: E402
from pointsam.detect.nets.grid import Grid  # noqa: E402
from pointsam.detect.nets.rulebook import SparseTensor, build_rulebook  # noqa: E402
from pointsam.detect.nets.sparse import SparseConv3d, SparseSequential, SubMConv3d, compute_by  # noqa: E402
from pointsam.detect.recipes import RECIPES  # noqa: E402
from pointsam.taxonomy import KITTI, NUSCENES  # noqa: E402

SHAPE, BATCH = (5, 7, 6), 2
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
LAYERS = {
    "submanifold": lambda: SubMConv3d(3, 4, 3),
    "one row": lambda: SubMConv3d(3, 4, (1, 1, 3), bias=False),
    "more offsets than bits": lambda: SubMConv3d(3, 4, 5),
    "strided": lambda: SparseConv3d(3, 4, 3, 2, (0, 1, 1)),
    "last": lambda: SparseConv3d(3, 4, (3, 1, 1), (2, 1, 1), bias=False),
}


@pytest.fixture(params=["twin", "package"])
def device(request, monkeypatch):
    """The device on which triton computes, by the twin or by the package."""
    if request.param == "twin":
        monkeypatch.setattr(sparse_triton, "kernels_on", lambda device: TWIN)
        return torch.device("cpu")
    ops = pytest.importorskip("spconv_triton.pytorch.ops", reason="needs spconv-triton: pip install 'pointsam[triton]'")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if not INTERPRETED:
        pytest.skip("needs a GPU, or TRITON_INTERPRET=1")
    monkeypatch.setattr(sparse_triton, "kernels_on", lambda device: ops)
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    monkeypatch.setattr(ops._gemm, "_multiprocessor_count", lambda device: 1)
    one_size_of(ops._gemm, monkeypatch)
    return torch.device("cpu")


def one_size_of(module, monkeypatch):
    """Give the kernels one size of blocks, so that there is nothing to measure."""
    for kernel in vars(module).values():
        if hasattr(kernel, "configs"):
            monkeypatch.setattr(kernel, "configs", kernel.configs[:1])


def not_interpreted(device, why):
    if INTERPRETED and device.type == "cpu":
        pytest.skip(f"Triton's interpreter {why}")


def voxels(channels, device, share=0.2):
    draw = torch.Generator().manual_seed(0)
    coordinate = (torch.rand(BATCH, *SHAPE, generator=draw) < share).nonzero()
    features = torch.randn(len(coordinate), channels, generator=draw)
    return SparseTensor(features.to(device).requires_grad_(), coordinate.to(device), SHAPE, BATCH)


def passes(layer, x, kind):
    """Output, and gradients of the input and of the parameters, for one random direction."""
    compute_by(layer, kind)
    y = layer(SparseTensor(x.features, x.coordinate, SHAPE, BATCH))
    pull = torch.randn(y.features.shape, generator=torch.Generator().manual_seed(1)).to(y.features)
    grads = torch.autograd.grad(y.features, (x.features, *layer.parameters()), pull)
    return y, grads


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_and_gradients_are_those_of_torch(name, device):
    layer, x = LAYERS[name]().to(device), voxels(3, device)
    (ours, our_grads), (theirs, their_grads) = (passes(layer, x, kind) for kind in ("torch", "triton"))
    assert torch.equal(ours.coordinate, theirs.coordinate)
    torch.testing.assert_close(theirs.features, ours.features)
    torch.testing.assert_close(their_grads, our_grads)


def test_mixed_precision_is_bf16(device):
    not_interpreted(device, "has no bf16")
    layer, x = SubMConv3d(16, 16, 3).to(device), voxels(16, device)
    exact, exact_grads = passes(layer, x, "triton")
    with torch.autocast(device.type, torch.bfloat16):
        rough, grads = passes(layer, x, "triton")
    assert rough.features.dtype == torch.bfloat16
    assert [grad.dtype for grad in grads] == [torch.float32] * 3  # as the parameters
    torch.testing.assert_close(rough.features.float(), exact.features, atol=0.05, rtol=0.02)
    torch.testing.assert_close(grads, exact_grads, atol=0.1, rtol=0.02)


def test_no_voxel_gives_no_voxel(device):
    none = SparseTensor(
        torch.zeros(0, 3, device=device, requires_grad=True),
        torch.zeros(0, 4, dtype=torch.int64, device=device),
        SHAPE,
        BATCH,
    )
    net = SparseSequential(SubMConv3d(3, 4, 3), SparseConv3d(4, 5, 3, 2, 1)).to(device)
    compute_by(net, "triton")
    out = net(none)
    assert out.features.shape == (0, 5)
    out.features.sum().backward()
    assert all((parameter.grad == 0).all() for parameter in net.parameters())


def encoder_of(name):
    """The encoder of a recipe, on a small grid, with narrow channels."""
    config = replace(RECIPES[name]().detector.encoder, voxel_channels=(4, 5, 6, 8), voxel_out=5)
    torch.manual_seed(0)
    return config.build(Grid((-8.0, -4.8, -3.0, 8.0, 4.8, 1.0), (0.2, 0.2, 0.1)), 5)


def map_and_gradient(name, kind, device, bf16):
    """A feature map, and the gradient of all parameters, as vectors."""
    draw = torch.Generator().manual_seed(0)
    points = torch.rand(600, 5, generator=draw) * torch.tensor([15.0, 9, 3.5, 1, 0]) - torch.tensor([7.5, 4.5, 3, 0, 0])
    encoder = encoder_of(name).to(device).train()
    compute_by(encoder, kind)
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        found = encoder(points.to(device), torch.arange(600, device=device) % 2, 2).float()
    found.square().mean().backward()
    return found.detach().flatten(), torch.cat([parameter.grad.flatten() for parameter in encoder.parameters()])


@pytest.mark.parametrize("name", ["nuscenes-centerpoint-voxel", "kitti-second"])
def test_encoders_of_recipes_are_those_of_torch(name, device):
    """In bf16, the rounding of many layers adds up: the results are as near to full precision as those of torch."""
    not_interpreted(device, "takes minutes")
    exact = map_and_gradient(name, "torch", device, bf16=False)
    assert all(values.norm() > 0.1 for values in exact)
    full = map_and_gradient(name, "triton", device, bf16=False)
    half, half_torch = (map_and_gradient(name, kind, device, bf16=True) for kind in ("triton", "torch"))
    for values, same, rough, rough_torch in zip(exact, full, half, half_torch, strict=True):
        assert (same - values).norm() < 1e-4 * values.norm()
        assert 0 < (rough - values).norm() < 1.5 * (rough_torch - values).norm()


@pytest.mark.parametrize("name", LAYERS)
def test_the_package_finds_the_same_neighbours(name, monkeypatch):
    ops = pytest.importorskip("spconv_triton.pytorch.ops", reason="needs spconv-triton: pip install 'pointsam[triton]'")
    if not (torch.cuda.is_available() or INTERPRETED):
        pytest.skip("needs a GPU, or TRITON_INTERPRET=1")
    if not torch.cuda.is_available():
        one_size_of(ops._pairs.pair_kernels, monkeypatch)
    x = voxels(3, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    geometry = LAYERS[name]().geometry
    book = build_rulebook(x, geometry)
    shape = [list(part) for part in (SHAPE, geometry.kernel, geometry.stride, geometry.padding, (1, 1, 1), (0, 0, 0))]
    found = ops._pairs.igemm_pairs(
        x.coordinate.int(), BATCH, *shape, geometry.submanifold, transpose=False, is_train=True, is_mask_split=False
    )
    sites = x if book.sites is None else book.sites
    assert torch.equal(found[0].long(), sites.coordinate)
    assert torch.equal(found[2], book.by_offset[0].row)
    assert torch.equal(found[3], book.by_offset[1].row)


@pytest.mark.parametrize("name", LAYERS)
def test_tables_by_offset_are_those_of_the_rulebook(name):
    book = build_rulebook(voxels(3, torch.device("cpu")), LAYERS[name]().geometry)
    for table, own, none in zip(
        book.by_offset, (book.source, book.target), (len(book.target), len(book.source)), strict=True
    ):
        assert torch.equal(torch.where(table.row < 0, none, table.row).T, own)
        if name == "more offsets than bits":
            assert table.bits is None
            assert table.order is None
            continue
        there = (own != none)[table.order.long()]
        assert table.bits.tolist() == [sum(2**k for k in row.nonzero()[:, 0].tolist()) for row in there]
        assert (table.bits[1:] >= table.bits[:-1]).all()
        assert table.order.sort().values.tolist() == list(range(len(own)))
    assert book.by_offset is book.by_offset


@pytest.mark.parametrize(("name", "taxonomy"), [("nuscenes-centerpoint-voxel", NUSCENES), ("kitti-two-stage", KITTI)])
def test_parameters_have_the_same_names_and_shapes(name, taxonomy):
    config = RECIPES[name]().detector
    ours, theirs = (Detector(replace(config, sparse=kind), taxonomy) for kind in ("torch", "triton"))
    shapes = [[(key, value.shape) for key, value in net.state_dict().items()] for net in (ours, theirs)]
    assert shapes[0] == shapes[1]
    kinds = {layer.kind for layer in theirs.modules() if isinstance(layer, SubMConv3d | SparseConv3d)}
    assert kinds == {"triton"}


def test_on_a_cpu_the_error_says_what_to_change():
    layer = SubMConv3d(3, 4, 3)
    compute_by(layer, "triton")
    with pytest.raises(BackendError, match=r"BCK006.*needs a GPU, not 'cpu'.*\n.*detector\.sparse=torch"):
        layer(voxels(3, torch.device("cpu")))


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "spconv_triton.pytorch.ops", None)
    with pytest.raises(BackendError, match=r"BCK005.*spconv_triton.*\n.*pointsam\[triton\].*detector\.sparse=torch"):
        sparse_triton.kernels_on(torch.device("cuda"))


def test_pillars_have_no_sparse_convolutions():
    config = RECIPES["nuscenes-centerpoint-pillar"]().detector
    with pytest.raises(SchemaError, match=r"SCH005.*detector\.sparse.*'triton'"):
        replace(config, sparse="triton")
