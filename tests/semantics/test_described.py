"""Names and files that stand for a source of classes."""

import pytest

from pointsam.base.errors import SchemaError
from pointsam.semantics import semantics_plugin


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("nets/site.onnx", '{"family": "yolov8", "model": "site.onnx"}'),
        ("yolov8n.pt", "export it to ONNX"),
        ("maskrcnn.pth", "docs/torchvision.md"),
        ("models/detr", "hf:models/detr"),
        ("PekingU/rtdetr_v2_r50vd", "hf:PekingU/rtdetr_v2_r50vd"),
        ("yolox", "nanodet"),
    ],
)
def test_a_name_that_looks_like_a_model_says_how_to_give_it(name, way):
    with pytest.raises(SchemaError, match="SCH005") as caught:
        semantics_plugin(name)
    assert repr(name) in caught.value.message
    assert way in caught.value.hint
