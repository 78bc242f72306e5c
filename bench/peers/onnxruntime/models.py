# SPDX-License-Identifier: MIT
"""Writes one-node ONNX models for run.js: python3 models.py FOLDER (needs the onnx package).

NAME.onnx for each entry of `models`: com.microsoft's MultiHeadAttention for prompts, which is the fastest
attention of ONNX Runtime on a CPU, and the standard Attention operator for grouped decode.
"""
import sys

from onnx import TensorProto, helper, save_model

FLOAT = TensorProto.FLOAT


def model(op, domain, inputs, **attributes):
    node = helper.make_node(op, list(inputs), ["y"], domain=domain, **attributes)
    graph = helper.make_graph(
        [node],
        op,
        [helper.make_tensor_value_info(name, FLOAT, dims) for name, dims in inputs.items()],
        [helper.make_tensor_value_info("y", FLOAT, None)],
    )
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def prompt(width, causal):
    inputs = {name: [1, "positions", 8 * width] for name in ("q", "k", "v")}
    return model("MultiHeadAttention", "com.microsoft", inputs, num_heads=8, unidirectional=int(causal))


models = {
    "plain_64": prompt(64, False),
    "plain_128": prompt(128, False),
    "causal_64": prompt(64, True),
    "decode_128": model(
        "Attention", "", {"q": [1, 32, 1, 128], "k": [1, 8, "keys", 128], "v": [1, 8, "keys", 128]}
    ),
}

for name, made in models.items():
    save_model(made, f"{sys.argv[1]}/{name}.onnx")
