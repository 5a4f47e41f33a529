from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam.base.errors import SchemaError
from pointsam.geometry.se3 import SE3
from pointsam.stages.prompt import PromptConfig, farthest_points, prompt, prompt_cloud
from pointsam.taxonomy import BACKGROUND

CONFIG = PromptConfig()
EVERYWHERE = np.zeros((48, 64), dtype=np.uint8)


def prompts(cloud, frame, semantic=EVERYWHERE, config=CONFIG, seed=0):
    return prompt(cloud.astype(np.float64), frame, frame.cameras[0], semantic, config, np.random.default_rng(seed))


def test_a_neighbour_sweep_is_moved_by_the_vehicle_between_the_two(one_camera_frame):
    xyz = np.array([[10, 3, 1]], dtype=np.float32)
    cloud = prompt_cloud(one_camera_frame, {-1: xyz}, CONFIG)
    np.testing.assert_allclose(cloud, [[8, 3, 1]])


def test_neighbour_sweeps_alone_lose_what_is_close_in_both_x_and_y(one_camera_frame):
    xyz = np.array([[0.9, -0.9, 5], [1.0, 0.5, 5], [0.5, -2.0, 5]], dtype=np.float32)
    assert len(prompt_cloud(one_camera_frame, {0: xyz}, CONFIG)) == 3
    np.testing.assert_allclose(prompt_cloud(one_camera_frame, {1: xyz}, CONFIG), xyz[1:])
    np.testing.assert_allclose(prompt_cloud(one_camera_frame, {1: xyz}, PromptConfig(close_m=1.1)), xyz[2:])


def test_only_the_sweeps_of_the_configuration_supply_prompts(one_camera_frame):
    clouds = {offset: np.full((2, 3), 9 + offset, dtype=np.float32) for offset in (0, 1, -1)}
    assert len(prompt_cloud(one_camera_frame, clouds, CONFIG)) == 6
    np.testing.assert_array_equal(prompt_cloud(one_camera_frame, clouds, PromptConfig(sweeps=(0,))), clouds[0])


def test_a_data_set_of_single_sweeps_still_has_prompts(one_camera_frame):
    assert len(prompt_cloud(one_camera_frame, {0: np.ones((4, 3), dtype=np.float32)}, CONFIG)) == 4


def test_pixels_are_truncated_and_named_once(one_camera_frame, ray):
    assert prompts(ray([(20.9, 10.9), (20.1, 10.2), (5.5, 11.5)]), one_camera_frame).tolist() == [[20, 10], [5, 11]]


def test_points_outside_the_image_or_too_near_prompt_nothing(one_camera_frame, ray):
    cloud = np.concatenate([ray([(0.9, 20), (63.1, 20), (20, 47.1)]), ray([(30, 30)], 0.9), -ray([(30, 30)])])
    assert prompts(cloud, one_camera_frame).shape == (0, 2)


@pytest.mark.parametrize(("depth_m", "least_m", "seen"), [(1.01, 1.0, 1), (1.0, 1.0, 0), (1.9, 2.0, 0), (2.1, 2.0, 1)])
def test_points_nearer_than_configured_prompt_nothing(one_camera_frame, ray, depth_m, least_m, seen):
    config = PromptConfig(min_depth_m=least_m)
    assert len(prompts(ray([(30, 20)], depth_m), one_camera_frame, config=config)) == seen


@pytest.mark.parametrize("seed", range(3))
def test_pixels_that_all_fit_come_row_by_row(one_camera_frame, ray, seed):
    cloud, fit = ray([(20.5, 10.5), (5.5, 11.5), (9.5, 10.5)]), PromptConfig(max_prompts=3)
    assert prompts(cloud, one_camera_frame, config=fit, seed=seed).tolist() == [[9, 10], [20, 10], [5, 11]]


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 400), most=st.integers(1, 50))
def test_prompts_are_different_lidar_pixels_with_a_class(one_camera_frame, ray, seed, count, most):
    rng = np.random.default_rng(seed)
    semantic = np.where(rng.random((48, 64)) < 0.5, 3, BACKGROUND).astype(np.uint8)
    pixel = rng.integers(2, 46, (count, 2))
    uv = prompts(ray(pixel + 0.5), one_camera_frame, semantic, PromptConfig(max_prompts=most), seed)
    allowed = {(u, v) for u, v in pixel.tolist() if semantic[v, u] != BACKGROUND}
    assert uv.dtype == np.int32
    assert len(uv) == min(most, len(allowed))
    assert len({*map(tuple, uv.tolist())} & allowed) == len(uv)


def test_the_generator_decides_the_draw_and_nothing_else(one_camera_frame, ray):
    cloud = ray(np.random.default_rng(0).integers(2, 46, (300, 2)) + 0.5)
    few = PromptConfig(max_prompts=20)
    again = [prompts(cloud, one_camera_frame, config=few, seed=seed).tolist() for seed in (1, 1, 2)]
    assert again[0] == again[1] != again[2]
    assert prompts(cloud[::-1], one_camera_frame, config=few, seed=1).tolist() == again[0]


def test_a_class_map_of_another_size_is_refused(one_camera_frame, ray):
    with pytest.raises(SchemaError, match=r"SCH003.*frame CAM"):
        prompts(ray([(20, 20)]), one_camera_frame, EVERYWHERE[:-1])


def test_every_sampled_point_is_as_far_from_the_chosen_as_can_be():
    uv = np.random.default_rng(3).integers(0, 1600, (300, 2))
    chosen = farthest_points(uv, 40, first=7)
    assert chosen[0] == 7
    for i in range(1, 40):
        distance2 = ((uv[:, None] - uv[None, chosen[:i]]) ** 2).sum(axis=2).min(axis=1)
        assert chosen[i] == distance2.argmax()


def test_of_equally_far_points_the_lowest_index_is_taken():
    uv = np.array([[5, 5], [5, 9], [9, 5], [0, 5]])
    assert farthest_points(uv, 4, first=0).tolist() == [0, 3, 1, 2]


def test_what_is_close_to_a_tilted_lidar_is_left_out_in_its_level_frame(one_camera_frame):
    """The roof below a LiDAR that lies on its side is beside it in the sensor's axes."""
    turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # its y axis points up
    sweep = one_camera_frame.neighbours[1]
    tilted = replace(sweep, ego_SE3_lidar=SE3(sweep.ego_SE3_lidar.rotation @ turn, sweep.ego_SE3_lidar.translation_m))
    frame = replace(one_camera_frame, sweeps=(tilted,), neighbours={1: tilted})
    level = np.array([[0.5, 0.5, -3.0], [0.5, 3.0, -0.5], [0.2, -0.3, -0.9]], dtype=np.float32)
    kept = prompt_cloud(frame, {1: level @ turn.astype(np.float32)}, PromptConfig(close_m=1.0))
    np.testing.assert_allclose(kept @ turn.T, level[1:2], atol=1e-6)
