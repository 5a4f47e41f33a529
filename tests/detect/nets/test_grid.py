"""No point is lost on the way into the grid."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from pointsam.base.errors import SchemaError  # noqa: E402
from pointsam.detect.nets.encoders import NeckConfig  # noqa: E402
from pointsam.detect.nets.grid import Grid, MapShape, map_at, scatter_max, scatter_mean, voxelize  # noqa: E402

GRID = Grid((-8.0, -4.0, -2.0, 8.0, 4.0, 2.0), (0.5, 0.25, 1.0))


def cloud(rng, n=5000):
    xyz = torch.from_numpy(rng.uniform(-10, 10, (n, 3)) * (1, 0.6, 0.3))
    return xyz, torch.from_numpy(rng.integers(0, 3, n))


def test_every_point_inside_is_in_the_voxel_that_holds_it(rng_of):
    xyz, batch = cloud(rng_of(0))
    voxels = voxelize(xyz, batch, GRID)
    inside = ((xyz >= torch.tensor(GRID.range_m[:3])) & (xyz < torch.tensor(GRID.range_m[3:]))).all(dim=1)
    assert torch.equal(voxels.point, inside.nonzero()[:, 0])
    assert 1000 < len(voxels.point) < 5000
    at = voxels.coordinate[voxels.voxel]
    assert torch.equal(at[:, 0], batch[voxels.point])
    low = at[:, [3, 2, 1]] * torch.tensor(GRID.voxel_m) + torch.tensor(GRID.range_m[:3])
    offset = xyz[voxels.point] - low
    assert (offset >= -1e-9).all()
    assert (offset < torch.tensor(GRID.voxel_m) + 1e-9).all()


def test_voxels_are_sorted_and_unique(rng_of):
    coordinate = voxelize(*cloud(rng_of(1)), GRID).coordinate.tolist()
    assert coordinate == sorted(coordinate)
    assert len({tuple(row) for row in coordinate}) == len(coordinate)


def test_means_and_maxima_are_those_of_a_plain_loop(rng_of):
    xyz, batch = cloud(rng_of(2))
    voxels = voxelize(xyz, batch, GRID)
    values, size = xyz[voxels.point], len(voxels.coordinate)
    mean, most = scatter_mean(values, voxels.voxel, size), scatter_max(values, voxels.voxel, size)
    for k in range(0, size, 17):
        mine = values[voxels.voxel == k].numpy()
        assert mean[k].numpy() == pytest.approx(mine.mean(axis=0))
        assert np.array_equal(most[k].numpy(), mine.max(axis=0))


def test_the_host_waits_for_the_numbers_of_points_and_voxels_only(rng_of, device):
    xyz, batch = (value.to("cuda") for value in cloud(rng_of(3)))
    voxelize(xyz, batch, GRID)  # constants are copied to a device once
    with device.counted() as counted:
        voxels = voxelize(xyz, batch, GRID)
        scatter_mean(xyz[voxels.point], voxels.voxel, len(voxels.coordinate))
    assert sum(counted.stalls.values()) == 2, counted.stalls


def test_gradients_of_means_and_maxima():
    values = torch.randn(9, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    index = torch.tensor([0, 2, 2, 0, 4, 4, 4, 2, 0])
    for function in (scatter_mean, scatter_max):
        assert torch.autograd.gradcheck(lambda v, f=function: f(v, index, 5), values)
        assert (function(values, index, 5)[1] == 0).all()


def test_a_grid_that_voxels_do_not_divide_is_refused_with_the_nearest_that_works():
    with pytest.raises(SchemaError, match="SCH005") as caught:
        Grid((-50.0, -50.0, -5.0, 50.0, 50.0, 3.0), (0.3, 0.25, 8.0))
    assert "(-49.95, -50.0, -5.0, 49.95, 50.0, 3.0)" in caught.value.hint
    Grid((-49.95, -50.0, -5.0, 49.95, 50.0, 3.0), (0.3, 0.25, 8.0))
    with pytest.raises(SchemaError) as caught:  # the nearest may be the next larger one
        Grid((-50.1, -50.1, -5.0, 50.1, 50.1, 3.0), (0.25, 0.25, 8.0))
    assert "(-50.125, -50.125, -5.0, 50.125, 50.125, 3.0)" in caught.value.hint


def test_a_grid_that_the_stride_does_not_divide_is_refused_with_one_that_works():
    grid = Grid((-51.0, -51.2, -5.0, 51.0, 51.2, 3.0), (0.2, 0.2, 8.0))
    with pytest.raises(SchemaError, match=r"SCH005.*stride 8") as caught:
        grid.require_stride(8)
    assert "(-51.2, -51.2, -5.0, 51.2, 51.2, 3.0)" in caught.value.hint
    Grid((-51.2, -51.2, -5.0, 51.2, 51.2, 3.0), (0.2, 0.2, 8.0)).require_stride(8)


@pytest.mark.parametrize("bad", [((0, 0, 0, 1, 1, 1), (0, 1, 1)), ((0, 0, 0, 1, -1, 1), (1, 1, 1))])
def test_sizes_that_mean_nothing_are_refused(bad):
    with pytest.raises(SchemaError, match="SCH005"):
        Grid(*bad)


def test_an_empty_cloud_has_no_voxel():
    voxels = voxelize(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), GRID)
    assert voxels.coordinate.shape == (0, 4)


def test_lower_faces_belong_to_the_grid_and_upper_ones_do_not():
    low, high = torch.tensor(GRID.range_m[:3]), torch.tensor(GRID.range_m[3:])
    middle, xyz = torch.zeros(3), []
    for axis in range(3):
        for value in (low[axis], high[axis], low[axis] - 0.01, high[axis] - 0.01):
            xyz.append(torch.where(torch.arange(3) == axis, value, middle))
    voxels = voxelize(torch.stack(xyz), torch.tensor([0, 1] * 6), GRID)
    assert voxels.point.tolist() == [0, 3, 4, 7, 8, 11]
    at = voxels.coordinate[voxels.voxel].tolist()
    assert at == [[0, 2, 16, 0], [1, 2, 16, 31], [0, 2, 0, 16], [1, 2, 31, 16], [0, 0, 16, 16], [1, 3, 16, 16]]


def test_a_map_has_its_rows_along_y():
    grid = Grid((-4.0, -8.0, -1.0, 8.0, 16.0, 1.0), (0.5, 0.25, 2.0))
    assert grid.shape == (24, 96, 1)
    assert MapShape.of(grid, 4) == MapShape((-4.0, -8.0), (2.0, 1.0), (24, 6))


@pytest.mark.parametrize(("stride", "fits"), [(3, True), (8, True), (5, False), (16, False)])
def test_a_stride_divides_both_axes(stride, fits):
    grid = Grid((-4.0, -8.0, -1.0, 8.0, 16.0, 1.0), (0.5, 0.25, 2.0))
    if fits:
        grid.require_stride(stride)
    else:
        with pytest.raises(SchemaError, match=rf"SCH005.*24 x 96 voxels.*stride {stride}"):
            grid.require_stride(stride)


@pytest.mark.parametrize(("length", "fits"), [(10.00004, True), (10.0002, False)])
def test_voxels_may_miss_the_range_by_a_rounding(length, fits):
    if fits:
        assert Grid((0, 0, 0, length, 4, 1), (1.0, 1.0, 1.0)).shape == (10, 4, 1)
    else:
        with pytest.raises(SchemaError, match="SCH005"):
            Grid((0, 0, 0, length, 4, 1), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("range_m", "voxel_m"),
    [
        ((-1e30, -1.0, -1.0, 1e30, 1.0, 1.0), (1e30, 1.0, 1.0)),
        ((-1.0, -1.0, -1.0, 1.0, 1.0, 1.0), (1e-300, 1.0, 1.0)),
        ((-1.0, -1.0, -1.0, float("nan"), 1.0, 1.0), (1.0, 1.0, 1.0)),
        ((-1.0, -1.0, -1.0, 1.0, 1.0, 1.0), (float("nan"), 1.0, 1.0)),
    ],
)
def test_a_grid_beyond_reason_is_refused(range_m, voxel_m):
    with pytest.raises(SchemaError, match="SCH005"):
        Grid(range_m, voxel_m)


@pytest.mark.parametrize("change", [{"strides": (0, 1, 1)}, {"strides": (10**30, 1, 1)}, {"channels": (2**70, 1, 1)}])
def test_a_neck_beyond_reason_is_refused(change):
    with pytest.raises(SchemaError, match="SCH005"):
        NeckConfig(**change)


class TestSamplesOfTheMap:
    SHAPE = MapShape((-10.0, -8.0), (0.8, 0.4), (20, 25))

    def by_torch(self, x, xy, sample):
        """One sample after another, by `grid_sample`."""
        found = x.new_zeros(len(xy), x.shape[1])
        size = torch.tensor([self.SHAPE.shape[1] * 0.8, self.SHAPE.shape[0] * 0.4], dtype=xy.dtype)
        at = (xy - torch.tensor(self.SHAPE.origin_m, dtype=xy.dtype)) / size * 2 - 1
        for k, own in enumerate(x):
            mine = at[sample == k]
            values = torch.nn.functional.grid_sample(own[None], mine[None, None], align_corners=False)
            found[sample == k] = values[0, :, 0].T
        return found

    @pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
    def test_they_and_their_gradients_are_those_of_grid_sample(self, rng_of, memory):
        """Also at the border, off the map, and where many points share a location."""
        rng = rng_of(3)
        x = torch.from_numpy(rng.normal(size=(3, 7, 20, 25))).float().contiguous(memory_format=memory)
        xy = torch.from_numpy(rng.uniform((-12, -10), (12, 2), (4000, 2))).float()
        xy[:500] = xy[0]
        xy[500:504] = torch.tensor([[-10.0, -8.0], [10.0, 0.0], [1e6, 1e6], [-9.6, -7.8]])
        sample = torch.from_numpy(rng.integers(0, 3, len(xy)))
        upstream = torch.from_numpy(rng.normal(size=(len(xy), 7))).float()
        found = []
        for sampled in (lambda own: map_at(own, xy, sample, self.SHAPE), lambda own: self.by_torch(own, xy, sample)):
            own = x.clone(memory_format=torch.preserve_format).requires_grad_()
            values = sampled(own)
            (values * upstream).sum().backward()
            found.append((values.detach(), own.grad))
        (values, gradient), (expected, expected_gradient) = found
        assert (expected == 0).all(dim=1).sum() > 100
        assert torch.allclose(values, expected, atol=2e-5)
        assert torch.allclose(gradient, expected_gradient, rtol=1e-4, atol=2e-4)

    def test_without_a_point(self):
        x = torch.zeros(2, 7, 20, 25, requires_grad=True)
        values = map_at(x, torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), self.SHAPE)
        assert values.shape == (0, 7)
        values.sum().backward()

    def test_no_operator_has_a_random_order_of_summation(self):
        """Torch has no deterministic kernel on CUDA for the gradient of `grid_sample`."""
        x = torch.zeros(1, 7, 20, 25, requires_grad=True)
        values = map_at(x, torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64), self.SHAPE)
        names, left = set(), [values.grad_fn]
        while left:
            node = left.pop()
            names.add(type(node).__name__)
            left += [following for following, _ in node.next_functions if following is not None]
        assert "EmbeddingBagBackward0" in names
        assert not any("GridSampler" in name for name in names)
