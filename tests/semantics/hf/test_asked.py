"""Networks that are asked in words: scores and boxes are those of transformers' own path."""

import json
import shutil
from functools import wraps

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
transformers = pytest.importorskip("transformers", reason="needs pointsam[hf]")
from helpers.hub_asked import ASKED, save_asked  # noqa: E402
from helpers.hub_detectors import save_detector  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from pipelines.cli.networks import semantics_of  # noqa: E402
from pointsam.base.errors import BackendError, SchemaError  # noqa: E402
from pointsam.semantics import (  # noqa: E402
    SemanticsContext,
    load_semantics,
    mapping_of,
    semantics_plugin,
    semantics_sha256,
    survey_semantics,
)
from pointsam.semantics.hf.plugin import ASKED as TYPES  # noqa: E402
from pointsam.semantics.hf.plugin import HfConfig  # noqa: E402
from pointsam.taxonomy import KITTI, NUSCENES  # noqa: E402
from tests.semantics.hf.test_closed import HIGH, WIDE, picture  # noqa: E402

DINOS = [kind for kind in ASKED if kind.endswith("dino")]
OWLS = [kind for kind in ASKED if kind.startswith("owl")]
PROMPTS = {"traffic_cone": ["Traffic cone"], "car": ["car", "van"], "barrier": ["barrier"]}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a network of each type, named by it."""
    root = tmp_path_factory.mktemp("asked")
    for kind in ASKED:
        save_asked(kind, root / kind)
    return root


@pytest.fixture
def asked(models, tmp_path):
    """A function that writes a prompt file beside links to all networks."""

    def write(kind="owlv2", prompts=PROMPTS, **more):
        if not (tmp_path / "models").exists():
            (tmp_path / "models").symlink_to(models)
        path = tmp_path / "prompts.json"
        path.write_text(json.dumps({"source": f"models/{kind}", "prompts": prompts, **more}))
        return path

    return write


def test_every_type_is_tested():
    assert set(ASKED) == set(TYPES)


def open_detector(path, **options):
    config, mapping = HfConfig(**options), mapping_of("hf", NUSCENES, None, path)
    return semantics_plugin("hf").detector(config, SemanticsContext(mapping, path))


def by_transformers(folder, image, phrases):
    """The processor, its inputs and the outputs of transformers' own path."""
    model = transformers.AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    processor = transformers.AutoProcessor.from_pretrained(folder)
    inputs = processor(images=image, text=[phrases], return_tensors="pt")
    with torch.inference_mode():
        return processor, inputs, model(**inputs)


@pytest.mark.parametrize("size_wh", [WIDE, HIGH], ids=["wide", "high"])
@pytest.mark.parametrize("kind", OWLS)
def test_owls_give_the_boxes_and_scores_of_transformers_own_path(models, asked, kind, size_wh):
    image = picture(size_wh)
    detector = open_detector(asked(kind))
    found, phrases = detector.look(image), ["Traffic cone", "car", "van", "barrier"]
    assert detector.names == tuple(phrases)
    processor, _, outputs = by_transformers(models / kind, image, phrases)
    (expected,) = processor.post_process_grounded_object_detection(
        outputs, threshold=0.0, target_sizes=[size_wh[::-1]], text_labels=[phrases]
    )
    np.testing.assert_allclose(found.boxes, expected["boxes"].numpy(), atol=1e-3)
    np.testing.assert_allclose(found.scores.max(axis=1), expected["scores"].numpy(), atol=1e-5)
    assert [phrases[k] for k in found.scores.argmax(axis=1)] == expected["text_labels"]
    assert np.ptp(found.scores) > 0.01


@pytest.mark.parametrize("size_wh", [WIDE, HIGH], ids=["wide", "high"])
@pytest.mark.parametrize("kind", DINOS)
def test_grounded_phrases_have_the_scores_of_their_tokens(models, asked, kind, size_wh):
    image = picture(size_wh)
    found, phrases = open_detector(asked(kind)).look(image), ["Traffic cone", "car", "van", "barrier"]
    processor, inputs, outputs = by_transformers(models / kind, image, phrases)
    words = processor.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    assert words == ["[CLS]", "traffic", "cone", ".", "car", ".", "van", ".", "barrier", ".", "[SEP]"]
    tokens = outputs.logits[0].sigmoid().numpy()
    expected = np.stack([tokens[:, 1:3].max(axis=1), tokens[:, 4], tokens[:, 6], tokens[:, 8]], axis=1)
    np.testing.assert_allclose(found.scores, expected, atol=1e-5)
    (theirs,) = processor.post_process_grounded_object_detection(outputs, threshold=0.0, target_sizes=[size_wh[::-1]])
    np.testing.assert_allclose(found.boxes, theirs["boxes"].numpy(), atol=1e-3)


@pytest.mark.parametrize(("kind", "size_wh"), [("sam3", WIDE), ("sam3", HIGH), ("sam3_video", WIDE)])
def test_concepts_have_the_boxes_scores_and_masks_of_transformers_own_path(models, asked, kind, size_wh):
    image, phrases = picture(size_wh), ["Traffic cone", "car", "van", "barrier"]
    found = open_detector(asked(kind), score_threshold=0.0).look(image)
    assert found.boxes.shape == (48, 4)
    model = transformers.Sam3Model.from_pretrained(models / kind).eval()
    processor = transformers.Sam3Processor.from_pretrained(models / kind)
    covered = []
    for k, phrase in enumerate(phrases):
        with torch.inference_mode():
            outputs = model(**processor(images=image, text=phrase, return_tensors="pt"))
        (theirs,) = processor.post_process_instance_segmentation(outputs, 0.0, 0.5, [size_wh[::-1]])
        rows, scores = slice(12 * k, 12 * k + 12), np.zeros((12, 4))
        scores[:, k] = theirs["scores"].numpy()
        np.testing.assert_allclose(found.scores[rows], scores, atol=1e-5)
        np.testing.assert_allclose(found.boxes[rows], theirs["boxes"].numpy(), atol=1e-3)
        masks = np.array([found.masks(row) for row in range(12 * k, 12 * k + 12)])
        assert (masks == theirs["masks"].numpy()).mean() > 0.999
        covered.append(masks.mean())
    assert 0.05 < np.mean(covered) < 0.95


def test_concepts_that_score_too_low_have_no_row(asked):
    whole = open_detector(asked("sam3"), score_threshold=0.0).look(picture(WIDE))
    least = float(np.median(whole.scores.max(axis=1)))
    found = open_detector(asked("sam3"), score_threshold=least).look(picture(WIDE))
    rows = np.flatnonzero(whole.scores.max(axis=1) > least)
    assert 0 < len(rows) < 48
    assert found.scores.tobytes() == whole.scores[rows].tobytes()
    assert (found.masks(len(rows) - 1) == whole.masks(int(rows[-1]))).all()


@pytest.mark.parametrize("kind", DINOS)
def test_a_phrase_is_above_a_threshold_where_transformers_names_one_of_its_words(models, asked, kind):
    image, names = picture(WIDE), {"traffic": 0, "cone": 0, "car": 1, "van": 2, "barrier": 3}
    found = open_detector(asked(kind)).look(image)
    processor, _, outputs = by_transformers(models / kind, image, ["Traffic cone", "car", "van", "barrier"])
    threshold = float(np.median(found.scores))
    (theirs,) = processor.post_process_grounded_object_detection(outputs, threshold=0.0, text_threshold=threshold)
    named = [
        {names[word] for word in text.replace(".", " ").split() if word in names} for text in theirs["text_labels"]
    ]
    assert [set(np.flatnonzero(row > threshold)) for row in found.scores] == named
    assert set().union(*named) != set.intersection(*named)


@pytest.mark.parametrize("kind", DINOS)
def test_phrases_too_many_for_one_text_are_asked_in_several(models, asked, kind):
    """14 tokens fit beside the two around them, and each phrase ends with one."""
    image = picture(WIDE)
    phrases = ["traffic cone", "concrete barrier", "jersey barrier", "pickup truck", "car", "bus", "van", "person"]
    prompts = {"barrier": phrases[:4], "car": phrases[4:]}
    found = open_detector(asked(kind, prompts)).look(image)
    assert found.boxes.shape == (24, 4)
    for rows, group, last in ((slice(0, 12), slice(0, 4), [10, 11, 12]), (slice(12, 24), slice(4, 8), [7])):
        _, _, outputs = by_transformers(models / kind, image, phrases[group])
        tokens = outputs.logits[0].sigmoid().numpy()
        ours = found.scores[rows].copy()
        assert (ours[:, group] > 0).all()
        np.testing.assert_allclose(ours[:, group.stop - 1], tokens[:, last].max(axis=1), atol=1e-5)
        ours[:, group] = 0
        assert not ours.any()


@pytest.mark.parametrize("kind", ["owlv2", "grounding-dino", "sam3"])
def test_phrases_become_the_classes_that_the_file_states(asked, kind, frame, view_of):
    path, image = asked(kind, {"bus": ["car"], "truck": ["van", "truck"]}), np.asarray(picture(WIDE))
    mapping = mapping_of("hf", NUSCENES, None, path)
    assert dict(mapping.classes) == {"car": "bus", "van": "truck", "truck": "truck"}
    model = load_semantics("hf", mapping=mapping, masks_dir=path, config=HfConfig(score_threshold=0.0, nms_iou=1.0))
    found = model.detect(image, frame, view_of(50, 90))
    assert {NUSCENES.names[k] for k in found.class_id} == {"bus", "truck"}
    assert (found.rle is not None) == (kind == "sam3")
    assert model.weights_sha256 == semantics_sha256("hf", path)


@pytest.mark.parametrize("kind", ["owlv2", "grounding-dino", "sam3"])
def test_a_network_that_answers_nan_is_named(models, asked, kind, tmp_path, frame, view_of):
    shutil.copytree(models / kind, tmp_path / "broken")
    weights = tmp_path / "broken" / "model.safetensors"
    floats = {name: value.float() for name, value in load_file(weights).items() if value.is_floating_point()}
    spoilt = {name: torch.full_like(value, float("nan")) for name, value in floats.items() if "text" in name}
    save_file({**load_file(weights), **spoilt}, weights, metadata={"format": "pt"})
    path = asked(source="broken")
    model = load_semantics("hf", mapping=mapping_of("hf", NUSCENES, None, path), masks_dir=path)
    with pytest.raises(SchemaError, match=r"SCH003.*score of nan"):
        model.detect(np.asarray(picture(WIDE)), frame, view_of(50, 90))


def test_a_mask_that_is_no_number_is_refused(asked):
    detector = open_detector(asked("sam3"), score_threshold=0.0)
    answer = detector._run.model.forward

    @wraps(answer)
    def broken(**inputs):
        found = answer(**inputs)
        found.pred_masks[:] = torch.nan
        return found

    detector._run.model.forward = broken
    with pytest.raises(SchemaError, match=r"SCH003.*a mask that is no number"):
        detector.look(picture(WIDE)).masks(0)


def test_classes_without_a_prompt_are_named(asked):
    path = asked()
    (told,) = survey_semantics("hf", SemanticsContext(mapping_of("hf", NUSCENES, None, path), path), ())
    assert "no prompt for truck, trailer, bus, construction_vehicle, bicycle, motorcycle, pedestrian: the net" in told


def test_a_mapping_file_gives_the_classes_alone(asked, tmp_path):
    own = tmp_path / "own.json"
    own.write_text('{"taxonomy": {"name": "yard", "classes": [{"name": "crane"}, {"name": "fence"}]}, "labels": {}}')
    mapping = mapping_of("hf", NUSCENES, own, asked(prompts={"crane": ["car"], "fence": ["barrier"]}))
    assert mapping.taxonomy.name == "yard"
    assert dict(mapping.classes) == {"car": "crane", "barrier": "fence"}
    with pytest.raises(SchemaError, match=r"SCH002.*labels"):
        mapping_of("nanodet", NUSCENES, own)


def test_a_phrase_with_the_name_of_its_class_is_the_complete_object(asked):
    of = KITTI.class_id("cyclist")
    for phrase, needs_rider in (("cyclist", False), ("bicycle", True)):
        mapping = mapping_of("hf", KITTI, None, asked(prompts={"cyclist": [phrase]}))
        assert mapping.taxonomy.classes[of].needs_rider is needs_rider


def test_labels_of_a_mapping_file_do_not_say_what_a_phrase_means(asked, tmp_path):
    own = tmp_path / "own.json"
    own.write_text('{"taxonomy": "kitti", "labels": {"cyclist": "cyclist", "person": "pedestrian"}}')
    mapping = mapping_of("hf", NUSCENES, own, asked(prompts={"cyclist": ["bicycle"]}))
    assert mapping.taxonomy.classes[KITTI.class_id("cyclist")].needs_rider


def test_a_class_that_the_run_does_not_have_is_refused(asked):
    with pytest.raises(
        SchemaError, match=r"SCH001.*prompts\.json: 'car': no class 'cars'.*did you mean 'car'(.|\n)*bus"
    ):
        mapping_of("hf", NUSCENES, None, asked(prompts={"cars": ["car"]}))


def test_the_digest_follows_model_phrases_and_classes_and_no_name(asked, tmp_path):
    before = semantics_sha256("hf", asked())
    changes = [{"prompts": {**PROMPTS, "bus": ["bus"]}}, {"prompts": {**PROMPTS, "car": ["car"]}}, {"kind": "owlvit"}]
    changes += [{"prompts": {"traffic_cone": ["Traffic cone"], "car": ["car"], "bus": ["van"], "barrier": ["barrier"]}}]
    assert len({before, *(semantics_sha256("hf", asked(**change)) for change in changes)}) == 5
    (tmp_path / "models").rename(tmp_path / "moved")
    asked().rename(tmp_path / "other.json")
    text = (tmp_path / "other.json").read_text().replace("models/owlv2", str(tmp_path / "moved" / "owlv2"))
    (tmp_path / "other.json").write_text(text)
    assert semantics_sha256("hf", tmp_path / "other.json") == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"prompts": {"car": ["car", "  "]}}, r"prompts\.car has an empty phrase"),
        ({"prompts": {"car": ["car"], "bus": ["Car"]}}, r"prompts\.bus: the phrase 'Car' is that of 'car' already"),
        ({"prompts": {"car": []}}, r"prompts\.car has no phrase"),
        ({"prompts": {}}, "names no class"),
        ({"prompts": {"car": "car"}}, r"prompts\.car is wrong: input should be a valid array, got 'car'"),
        ({"prompts": ["car"]}, r"prompts is wrong: input should be an object"),
        ({"prompts": "nuscene"}, "not phrases by class, nor one of nuscenes, did you mean 'nuscenes'"),
        ({"promts": 1}, "promts is not a field, did you mean 'prompts'"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(asked, change, told):
    with pytest.raises(SchemaError, match=rf"SCH005.*prompts\.json: .*{told}(.|\n)*classes_hf"):
        semantics_sha256("hf", asked(**change))


@pytest.mark.parametrize(
    ("kind", "phrase", "told"),
    [
        ("grounding-dino", "a zebra", "does not know a word of 'a zebra'"),
        ("grounding-dino", "car [SEP] van", "does not know a word of"),
        ("owlv2", "car 7", "does not know a word of 'car 7'"),
        ("grounding-dino", "car . van", r"holds \. or \?"),
        ("grounding-dino", " ".join(["car"] * 14), "has 14 tokens, the network takes 13"),
        ("owlv2", "construction van", "has 15 tokens, the network takes 14"),
    ],
)
def test_a_phrase_that_the_network_cannot_take_is_named(asked, kind, phrase, told):
    with pytest.raises(SchemaError, match=rf"SCH005.*prompts\.json: .*{told}"):
        open_detector(asked(kind, {"car": [phrase]}))


@pytest.mark.parametrize("kind", ["grounding-dino", "owlv2", "sam3"])
def test_a_tokenizer_that_was_not_fetched_is_named_and_not_the_phrase(models, asked, kind, tmp_path):
    shutil.copytree(models / kind, tmp_path / "partial", ignore=shutil.ignore_patterns("tokenizer.json"))
    with pytest.raises(BackendError, match=r"BCK004.*tokenizer of .*partial knows \d+ tokens, the network(.|\n)*fetch"):
        open_detector(asked(source="partial"))


def test_prompts_go_with_networks_that_take_them_alone(models, asked, tmp_path):
    with pytest.raises(SchemaError, match=r"SCH005.*'owlv2', which is asked in words(.|\n)*\"prompts\""):
        semantics_sha256("hf", models / "owlv2")
    save_detector("detr", tmp_path / "detr")
    path = asked(source="detr")
    with pytest.raises(SchemaError, match=r"SCH005.*'detr', which has labels of its own(.|\n)*--semantics hf:.*detr"):
        semantics_sha256("hf", path)


def test_the_prompts_of_the_package_name_every_class_once(asked):
    path = asked(prompts="nuscenes")
    mapping = mapping_of("hf", NUSCENES, None, path)
    assert set(mapping.classes.values()) == set(NUSCENES.names)
    assert survey_semantics("hf", SemanticsContext(mapping, path), ()) == ()


def test_semantics_names_a_source_or_a_file(asked, tmp_path):
    path = asked()
    assert semantics_of(str(path), None) == ("hf", path)
    assert semantics_of(f"hf:{path}", None) == ("hf", path)
    assert semantics_of("hf:facebook/detr@main", None)[0] == "hf"
    assert semantics_of("hf:facebook/detr@main", None)[1].as_posix() == "facebook/detr@main"
    for name in (f"hf:{tmp_path}", str(path)):
        with pytest.raises(SchemaError, match=r"SCH005.*--masks-dir"):
            semantics_of(name, tmp_path)
