#!/usr/bin/env python3
"""Train the demo's float model on glyphs that brim has drawn, and write it as ONNX.

    train.py TRAIN.npz TEST.npz -o glyphs.onnx

Needs numpy and onnx, nothing else. Pixels are 0..255 as they are: the division by 255 is part of the
first convolution's weights. README.md has the commands.
"""
import argparse

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS = (1, 8, 16, 32)
CLASSES = 10
FEATURES = 3 * 3 * CHANNELS[-1]  # 28 -> 14 -> 7 -> 3 pixels a side


def patches(x):
    """[n, h, w, c] to the 3x3 neighbourhood of every pixel, [n, h, w, 9 c], zeros outside."""
    n, h, w, c = x.shape
    p = np.zeros((n, h + 2, w + 2, c), x.dtype)
    p[:, 1:-1, 1:-1] = x
    return np.concatenate([p[:, i:i + h, j:j + w] for i in range(3) for j in range(3)], axis=3)


def patches_backward(d, c):
    n, h, w, _ = d.shape
    p = np.zeros((n, h + 2, w + 2, c), d.dtype)
    for t in range(9):
        i, j = divmod(t, 3)
        p[:, i:i + h, j:j + w] += d[..., t * c:(t + 1) * c]
    return p[:, 1:-1, 1:-1]


def pool(x):
    """2x2 maxima, an odd last row or column dropped; also which of the four won."""
    n, h, w, c = x.shape
    q = x[:, :h // 2 * 2, :w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c)
    q = q.transpose(0, 1, 3, 5, 2, 4).reshape(n, h // 2, w // 2, c, 4)
    return q.max(axis=4), q.argmax(axis=4)


def pool_backward(d, winner, shape):
    n, h, w, c = shape
    q = (winner[..., None] == np.arange(4)) * d[..., None]
    q = q.reshape(n, h // 2, w // 2, c, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    out = np.zeros(shape, d.dtype)
    out[:, :h // 2 * 2, :w // 2 * 2] = q.reshape(n, h // 2 * 2, w // 2 * 2, c)
    return out


def initial(rng):
    p = []
    for a, b in zip(CHANNELS, CHANNELS[1:]):
        p += [rng.normal(0, (2 / (9 * a)) ** 0.5, (9 * a, b)), np.zeros(b)]
    p += [rng.normal(0, FEATURES ** -0.5, (FEATURES, CLASSES)), np.zeros(CLASSES)]
    return [v.astype(np.float32) for v in p]


def forward(p, x):
    tape = []
    for k in range(3):
        col = patches(x)
        y = np.maximum(col @ p[2 * k] + p[2 * k + 1], 0)
        x, winner = pool(y)
        tape.append((col, y, winner))
    flat = x.reshape(len(x), -1)
    return flat @ p[6] + p[7], tape, flat


def gradients(p, x, label):
    logits, tape, flat = forward(p, x)
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    prob = e / e.sum(axis=1, keepdims=True)
    loss = -np.log(prob[np.arange(len(x)), label] + 1e-12).mean()
    prob[np.arange(len(x)), label] -= 1
    d = prob / len(x)
    g = [None] * 8
    g[6], g[7] = flat.T @ d, d.sum(axis=0)
    d = (d @ p[6].T).reshape(len(x), 3, 3, CHANNELS[-1])
    for k in reversed(range(3)):
        col, y, winner = tape[k]
        d = pool_backward(d, winner, y.shape) * (y > 0)
        flat_d = d.reshape(-1, d.shape[3])
        g[2 * k], g[2 * k + 1] = col.reshape(-1, col.shape[3]).T @ flat_d, flat_d.sum(axis=0)
        if k > 0:
            d = patches_backward(d @ p[2 * k].T, CHANNELS[k])
    return loss, g


def accuracy(p, x, label):
    hit = 0
    for i in range(0, len(x), 500):
        hit += (forward(p, x[i:i + 500])[0].argmax(axis=1) == label[i:i + 500]).sum()
    return hit / len(x)


def train(x, label, test_x, test_label, epochs, rng):
    p = initial(rng)
    m, v = [np.zeros_like(a) for a in p], [np.zeros_like(a) for a in p]
    batch, step, total = 64, 0, epochs * (len(x) // 64)
    for epoch in range(epochs):
        order, losses = rng.permutation(len(x)), []
        for i in range(0, len(x) - batch + 1, batch):
            pick = order[i:i + batch]
            loss, g = gradients(p, x[pick], label[pick])
            losses.append(loss)
            step += 1
            rate = 3e-3 * 0.5 * (1 + np.cos(np.pi * step / total))  # Adam, cosine schedule
            for k in range(len(p)):
                m[k] = 0.9 * m[k] + 0.1 * g[k]
                v[k] = 0.999 * v[k] + 0.001 * g[k] ** 2
                p[k] -= (rate * (m[k] / (1 - 0.9 ** step))
                         / (np.sqrt(v[k] / (1 - 0.999 ** step)) + 1e-8)).astype(np.float32)
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, "
              f"accuracy {accuracy(p, test_x, test_label):.4f}", flush=True)
    return p


def to_onnx(p):
    nodes, weights, x = [], [], "input"
    for k in range(3):
        w = p[2 * k].reshape(3, 3, CHANNELS[k], CHANNELS[k + 1]).transpose(3, 2, 0, 1)
        w = w / np.float32(255) if k == 0 else w
        name = f"conv{k + 1}"
        weights += [numpy_helper.from_array(np.ascontiguousarray(w), name + ".weight"),
                    numpy_helper.from_array(p[2 * k + 1], name + ".bias")]
        nodes += [helper.make_node("Conv", [x, name + ".weight", name + ".bias"], [name + ".out"],
                                   name=name, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
                  helper.make_node("Relu", [name + ".out"], [name + ".relu"], name=name + ".relu"),
                  helper.make_node("MaxPool", [name + ".relu"], [name + ".pool"],
                                   name=name + ".pool", kernel_shape=[2, 2], strides=[2, 2])]
        x = name + ".pool"
    # The network above flattens rows, columns, channels; ONNX flattens channels, rows, columns.
    fc = p[6].reshape(3, 3, CHANNELS[-1], CLASSES).transpose(3, 2, 0, 1).reshape(CLASSES, FEATURES)
    weights += [numpy_helper.from_array(np.ascontiguousarray(fc), "fc.weight"),
                numpy_helper.from_array(p[7], "fc.bias")]
    nodes += [helper.make_node("Flatten", [x], ["flat"], name="flatten", axis=1),
              helper.make_node("Gemm", ["flat", "fc.weight", "fc.bias"], ["output"], name="fc",
                               transB=1)]
    graph = helper.make_graph(
        nodes, "glyphs",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 1, 28, 28])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["N", CLASSES])], weights)
    model = helper.make_model(graph, producer_name="brim examples/glyphs/train.py",
                              opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def load(path):
    with np.load(path) as f:
        return (f["x"].transpose(0, 2, 3, 1) / 255).astype(np.float32), f["y"]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("train")
    a.add_argument("test")
    a.add_argument("-o", "--output", default="glyphs.onnx")
    a.add_argument("--epochs", type=int, default=12)
    a.add_argument("--seed", type=int, default=1)
    o = a.parse_args()
    p = train(*load(o.train), *load(o.test), o.epochs, np.random.default_rng(o.seed))
    onnx.save(to_onnx(p), o.output)


if __name__ == "__main__":
    main()
