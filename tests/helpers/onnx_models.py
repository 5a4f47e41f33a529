"""Small ONNX models with known answers."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}
TYPES |= {np.dtype(np.uint8): TensorProto.UINT8, np.dtype(np.float16): TensorProto.FLOAT16}


def constant_model(outputs, shape=(1, 3, 64, 64), dtype=np.float32, extra=()):
    """A model that ignores its inputs and answers with constants.

    Args:
        outputs: array by output name.
        shape: shape of the input `images`; names stand for axes of any length.
        dtype: its type.
        extra: further inputs, (name, shape) of int64.
    """
    inputs = [helper.make_tensor_value_info("images", TYPES[np.dtype(dtype)], shape)]
    inputs += [helper.make_tensor_value_info(name, TensorProto.INT64, axes) for name, axes in extra]
    nodes, infos = [], []
    for name, value in outputs.items():
        value = np.asarray(value)
        nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name)))
        infos.append(helper.make_tensor_value_info(name, TYPES[value.dtype], value.shape))
    return _bytes(nodes, inputs, infos)


def echo_model(shape=(1, 3, "height", "width"), dtype=np.float32, extra=()):
    """A model whose outputs are its inputs: `images` comes back as `seen`, other inputs as `NAME_seen`."""
    listed = [("images", TYPES[np.dtype(dtype)], shape)] + [(name, TensorProto.INT64, axes) for name, axes in extra]
    inputs = [helper.make_tensor_value_info(*each) for each in listed]
    names = ["seen", *(f"{name}_seen" for name, _ in extra)]
    nodes = [helper.make_node("Identity", [each[0]], [name]) for each, name in zip(listed, names, strict=True)]
    infos = [helper.make_tensor_value_info(name, *each[1:]) for each, name in zip(listed, names, strict=True)]
    return _bytes(nodes, inputs, infos)


def _bytes(nodes, inputs, infos):
    graph = helper.make_graph(nodes, "known", inputs, infos)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()
