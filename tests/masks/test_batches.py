"""Several images at once give what each gives alone."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
from helpers.segmenters import Scissors  # noqa: E402

from pointsam import rle  # noqa: E402
from pointsam.base.errors import BackendError  # noqa: E402
from pointsam.base.runtime import Stopwatch  # noqa: E402
from pointsam.masks import SegmentConfig, predictor  # noqa: E402
from pointsam.masks.base import OneByOne, in_batches  # noqa: E402
from pointsam.masks.device import Portions  # noqa: E402
from pointsam.masks.requests import Embed, FromBoxes, FromPoints, answers  # noqa: E402
from pointsam.masks.sam_network import SamNetwork  # noqa: E402

BOXES = [np.array([[110, 80, 230, 200], [320, 180, 430, 260]], np.float32), np.array([[90, 100, 210, 220]], np.float32)]
POINTS = [np.array([[170, 140]], np.int32), np.array([[150, 160], [55, 240], [20, 15]], np.int32)]


@pytest.fixture(scope="module")
def images(disc_image):
    """The picture, and another one of another size."""
    return [disc_image, np.ascontiguousarray(disc_image[::-1, 20:460])]


@pytest.fixture(scope="module")
def segmenter_of(stock_sam):
    def build(**config):
        cpu = torch.device("cpu")
        network = SamNetwork(stock_sam, cpu, "float32")
        return predictor.PromptSegmenter(
            network, name="test", weights_sha256="", device=cpu, config=SegmentConfig(**config)
        )

    return build


@pytest.fixture(scope="module")
def alone(segmenter_of, images):
    """Masks of boxes and of points of each image by itself."""
    segmenter = segmenter_of()
    embeddings = [segmenter.embed(image) for image in images]
    by_boxes = [segmenter.from_boxes(*both) for both in zip(embeddings, BOXES, strict=True)]
    return by_boxes, [segmenter.from_points(*both) for both in zip(embeddings, POINTS, strict=True)]


def assert_alike(found, expected):
    assert [len(one) for one in found] == [len(one) for one in expected]
    assert min(len(one) for one in expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert (one.height_px, one.width_px) == (other.height_px, other.width_px)
        assert one.source.tolist() == other.source.tolist()
        np.testing.assert_allclose(one.pred_iou, other.pred_iou, atol=1e-3)
        np.testing.assert_allclose(one.stability, other.stability, atol=1e-3)
        for a, b in zip(one.rle, other.rle, strict=True):
            a, b = (rle.decode_mask(counts, one.height_px, one.width_px) for counts in (a, b))
            assert (a & b).sum() / (a | b).sum() > 0.999


@pytest.mark.parametrize("chunk", [2, 64])
def test_images_that_are_encoded_together(segmenter_of, images, alone, chunk):
    segmenter = segmenter_of(batch=2, chunk=chunk)
    embeddings = segmenter.embed_all(images)
    assert embeddings[0].features is embeddings[1].features
    assert_alike(segmenter.from_boxes_all(embeddings, BOXES), alone[0])
    assert_alike(segmenter.from_points_all(embeddings, POINTS), alone[1])


def test_images_that_are_encoded_one_by_one(segmenter_of, images, alone):
    segmenter = segmenter_of(batch=1)
    embeddings = segmenter.embed_all(images)
    assert embeddings[0].features is not embeddings[1].features
    found = segmenter.from_boxes_all(embeddings[::-1], BOXES[::-1])
    assert [one.rle for one in found[::-1]] == [one.rle for one in alone[0]]  # the bytes, on a CPU


def test_an_image_without_prompts_among_others(segmenter_of, images, alone):
    segmenter = segmenter_of(batch=2)
    embeddings = segmenter.embed_all(images)
    first, second = segmenter.from_boxes_all(embeddings, [np.zeros((0, 4), np.float32), BOXES[1]])
    assert len(first) == 0
    assert_alike([second], alone[0][1:])


def test_a_batch_that_does_not_fit_is_halved_and_said_once(segmenter_of, images, alone, monkeypatch):
    segmenter, real = segmenter_of(batch=2), SamNetwork.encode

    def one_fits(network, prepared):
        if len(prepared) > 1:
            raise torch.cuda.OutOfMemoryError
        return real(network, prepared)

    monkeypatch.setattr(SamNetwork, "encode", one_fits)
    with pytest.warns(UserWarning, match=r"encoding 1 image\(s\) at once from now on") as warned:
        embeddings = segmenter.embed_all(images * 2)
    assert (len(warned), len(embeddings)) == (1, 4)
    assert_alike(segmenter.from_boxes_all(embeddings[:2], BOXES), alone[0])


def test_a_portion_that_another_thread_has_made_smaller_stays_so():
    def work(part):
        if part == slice(0, 8):
            with pytest.warns(UserWarning, match="1 images"):
                list(portions.each(3, lambda other: other if other.stop - other.start == 1 else no_room()))
        return part if part.stop - part.start < 8 else no_room()

    def no_room():
        raise torch.cuda.OutOfMemoryError

    portions = Portions(8, "encoding {} images")
    with pytest.warns(UserWarning, match="1 images"):
        assert list(portions.each(8, work)) == [slice(k, k + 1) for k in range(8)]


def test_an_image_that_fits_no_memory_is_an_error(segmenter_of, images, monkeypatch):
    def none_fits(*_):
        raise torch.cuda.OutOfMemoryError("tried to allocate 2 GiB")

    monkeypatch.setattr(SamNetwork, "encode", none_fits)
    with (
        pytest.warns(UserWarning, match=r"1 image\(s\) at once"),
        pytest.raises(BackendError, match=r"BCK007.*encoding 1 image\(s\)"),
    ):
        segmenter_of(batch=2).embed_all(images)


def test_filters_of_the_networks_pixels_find_nearly_the_same(segmenter_of, images, alone):
    segmenter = segmenter_of(filters="network", batch=2)
    found = segmenter.from_points_all(segmenter.embed_all(images), POINTS)
    for one, other in zip(found, alone[1], strict=True):
        same = sorted(set(one.pred_iou.round(3)) & set(other.pred_iou.round(3)))
        assert len(same) > 0.6 * len(other)
        np.testing.assert_allclose(np.sort(one.stability)[-1], np.sort(other.stability)[-1], atol=0.05)
        assert (one.stability >= 0.8).all()
        assert (np.diff(one.pred_iou) <= 0).all()


def test_a_plug_in_for_single_images_is_called_for_each():
    plug_in = Scissors()
    segmenter = in_batches(plug_in)
    assert isinstance(segmenter, OneByOne)
    embeddings = segmenter.embed_all([np.zeros((300, 480, 3), np.uint8)] * 2)
    for found, boxes in zip(segmenter.from_boxes_all(embeddings, BOXES), BOXES, strict=True):
        assert found.rle == plug_in.from_boxes((300, 480), boxes).rle
    assert [len(one) for one in segmenter.from_points_all(embeddings, POINTS)] == [0, 0]


def test_requests_of_one_kind_are_one_call_and_share_its_seconds():
    calls = []

    class Counting:
        name = "counting"

        def embed_all(self, images):
            calls.append(("embed", len(images)))
            return [f"embedding {k}" for k, _ in enumerate(images)]

        def from_boxes_all(self, embeddings, boxes):
            calls.append(("boxes", list(embeddings)))
            return [len(one) for one in boxes]

        def from_points_all(self, embeddings, points):
            calls.append(("points", list(embeddings)))
            return [-len(one) for one in points]

    watches = [Stopwatch() for _ in range(4)]
    asked = [FromPoints("a", POINTS[0]), Embed(None), FromBoxes("b", BOXES[0]), FromPoints("c", POINTS[1])]
    found = answers(Counting(), list(zip(asked, watches, strict=True)))
    assert found == [-1, "embedding 0", 2, -3]
    assert calls == [("embed", 1), ("boxes", ["b"]), ("points", ["a", "c"])]
    assert watches[0].seconds["decode"] == watches[3].seconds["decode"] > 0
    assert [list(watch.seconds) for watch in watches] == [["decode"], ["encode"], ["decode"], ["decode"]]
