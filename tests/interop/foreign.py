"""foreign.py DUMP_VALUES BRIM CHECK DATA_DIR - files that other tools' quantizers write.

onnxruntime's own quantizer makes int8 models of small networks and of those in DATA_DIR, in all its formats; each is
loaded, its layers are counted by `brim inspect`, a certificate is made and checked, and every tensor of codes is compared
with what onnxruntime computes, element by element. Operators of domain com.microsoft are compared on random inputs. Files
as Intel Neural Compressor writes them are made by hand: its quantizer's habits, in onnxruntime's operators.
"""
import json
import logging
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

DUMP, BRIM, CHECK, DATA = sys.argv[1], sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4])
MS = "com.microsoft"
passed, failed = 0, []
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")


class Reader(CalibrationDataReader):
    def __init__(self, name, x):
        self.batches = iter([{name: x[i:i + 1]} for i in range(len(x))])

    def get_next(self):
        return next(self.batches, None)


def onnxruntime(m, x, outputs):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    session = ort.InferenceSession(m.SerializeToString(), options, ["CPUExecutionProvider"])
    return session.run(outputs, x)


def brim_values(folder, m, x, outputs):
    onnx.save(m, folder / "m.onnx")
    for i, a in enumerate(x.values()):
        np.save(folder / f"x{i}.npy", a)
    p = subprocess.run([DUMP, folder / "m.onnx", folder, ",".join(outputs), *[folder / f"x{i}.npy" for i in range(len(x))]],
                       capture_output=True, text=True)
    if p.returncode != 0:
        raise RuntimeError(p.stderr.strip())
    return [np.load(folder / f"{i}.npy") for i in range(len(outputs))]


def certified(folder, layers):
    """The layers that inspect shows, a certificate for 32 bits, and what the checker says of it."""
    seen = json.loads(subprocess.run([BRIM, "inspect", "--json", folder / "m.onnx"], capture_output=True).stdout)["layers"]
    integer = sum(layer["codes"] for layer in seen)
    if integer != layers:
        raise RuntimeError(f"{integer} integer layers, expected {layers}")
    p = subprocess.run([BRIM, "certify", folder / "m.onnx", "--datapath", "40", "-q", "-o", folder / "c.json"],
                       capture_output=True, text=True)
    q = subprocess.run([CHECK, folder / "m.onnx", folder / "c.json"], capture_output=True, text=True)
    if (p.returncode, q.returncode) not in ((0, 0), (3, 3)):  # 16-bit weights leave the 32 bits outside
        raise RuntimeError(f"certify: {p.returncode} {p.stderr.strip()}, brim-check: {q.returncode} {q.stderr.strip()}")


def codes_of(m):
    """Every tensor of codes, with its type; and floats between integer layers that keep onnxruntime from fusing what ONNX
    does not define."""
    types = {i.name: i.data_type for i in m.graph.initializer}
    zero = {"QuantizeLinear": 2, "QLinearConv": 7, "QLinearMatMul": 7, "QGemm": 8, "QLinearAdd": 7, "QLinearMul": 7,
            "QLinearGlobalAveragePool": 4, "QLinearAveragePool": 4, "QLinearConcat": 1, "QLinearLeakyRelu": 4,
            "QLinearSigmoid": 4, "QLinearSoftmax": 4}
    codes, floats = {}, []
    plain = {"DequantizeLinear", "Conv", "Gemm", "MatMul", "Relu", "Identity", "Clip", *zero}
    for n in m.graph.node:
        if n.op_type in zero:
            if n.input[0] not in types and n.output[0]:
                codes[n.output[0]] = types[n.input[zero[n.op_type]]]
        elif n.op_type in ("ConvInteger", "MatMulInteger"):
            codes[n.output[0]] = T.INT32
        elif n.op_type == "DynamicQuantizeLinear":
            codes[n.output[0]] = T.UINT8
        elif n.op_type in ("Add", "Mul", "GlobalAveragePool", "AveragePool", "MaxPool", "Concat", "Softmax"):
            floats.append(n.output[0])
    return codes, [f for f in floats if f not in codes]


def check(name, m, x, layers, mean=None, near=False):
    """`mean`: codes of a float mean, whose last bit depends on the order of its sum, may be off by one in a few places;
    samples where they are, are left out of what follows. `near`: onnxruntime computes layers of this kind in float, so
    that a few codes round the other way, and what follows from them."""
    global passed
    codes, floats = codes_of(m)
    qdq = any(n.op_type in ("Conv", "Gemm", "MatMul") for n in m.graph.node)
    have = {o.name for o in m.graph.output}
    m.graph.output.extend(h.make_tensor_value_info(n, t, None) for n, t in codes.items() if n not in have)
    if qdq:
        m.graph.output.extend(h.make_tensor_value_info(n, T.FLOAT, None) for n in floats if n not in have and n != "output")
    try:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            got = brim_values(folder, m, x, list(codes))
            certified(folder, layers)
        kept = None
        for o, a, b in zip(codes, got, onnxruntime(m, x, list(codes))):
            if a.shape != b.shape or a.dtype != b.dtype:
                raise RuntimeError(f"{o}: {a.dtype}{a.shape} and {b.dtype}{b.shape}")
            off = np.abs(a.astype(int) - b.astype(int))
            if near and off.mean() < (1 if a.itemsize == 1 else 30):
                continue
            same = (a == b).reshape(a.shape[0] if a.ndim else 1, -1)
            same = same if kept is None else same[kept]
            if mean is not None and mean in o and off.max() <= 1 and same.mean() > 0.99:
                kept = same.all(axis=1)
            elif not same.all():
                raise RuntimeError(f"{o}: {a.dtype}{a.shape} differs in {100 - 100 * same.mean():.3f} %")
        passed += 1
    except RuntimeError as e:
        failed.append(f"{name}: {e}")


# ---- onnxruntime's quantizer ----

def every_format(name, model, x, layers, mean=None, wide=False):
    m = onnx.load(model)
    inp = m.graph.input[0].name
    with tempfile.TemporaryDirectory() as d:
        out = f"{d}/q.onnx"
        u8, i8 = QuantType.QUInt8, QuantType.QInt8
        formats = QuantFormat.QDQ, QuantFormat.QOperator
        kinds = [(f, *k) for f in formats for k in ((u8, i8, True), (i8, i8, False), (u8, u8, False))]
        if wide:
            kinds += [(f, *k) for f in formats for k in ((u8, i8, False), (i8, i8, True), (u8, u8, True))]
            kinds += [(QuantFormat.QDQ, QuantType.QUInt16, i8, True), (QuantFormat.QDQ, QuantType.QInt16, i8, False)]
        for fmt, a, w, pc in kinds:
            quantize_static(model, out, Reader(inp, x[:10]), quant_format=fmt, activation_type=a, weight_type=w,
                            per_channel=pc)
            check(f"{name} {fmt.name} {a.name} {w.name} {'per channel' if pc else 'per tensor'}", onnx.load(out), {inp: x},
                  layers, mean if fmt is QuantFormat.QDQ else None, a not in (u8, i8))
        for options in ({"ActivationSymmetric": True, "AddQDQPairToWeight": True}, {"QuantizeBias": False},
                        {"DedicatedQDQPair": True}):
            quantize_static(model, out, Reader(inp, x[:10]), per_channel=True, extra_options=options, activation_type=i8,
                            weight_type=i8)
            check(f"{name} QDQ {options}", onnx.load(out), {inp: x}, layers, mean, "ActivationSymmetric" not in options)
        for w in u8, i8:
            for pc in (False, True) if wide else (w is i8,):
                quantize_dynamic(model, out, weight_type=w, per_channel=pc)
                check(f"{name} dynamic {w.name} {'per channel' if pc else 'per tensor'}", onnx.load(out), {inp: x}, layers)


def small_network(r, path):
    """A convolution, a sum, pooling, two branches joined, activations, a linear layer, softmax."""
    w = {"w1": r.normal(0, 0.4, (8, 3, 3, 3)), "b1": r.normal(0, 0.2, 8), "w2": r.normal(0, 0.2, (8, 8, 3, 3)),
         "w3": r.normal(0, 0.4, (8, 1, 3, 3)), "b3": r.normal(0, 0.2, 8), "fc": r.normal(0, 0.3, (7, 16)),
         "bf": r.normal(0, 0.3, 7), "mm": r.normal(0, 0.5, (7, 5))}
    nodes = [h.make_node("Conv", ["x", "w1", "b1"], ["c1"], "conv1", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
             h.make_node("Relu", ["c1"], ["r1"], "relu1"),
             h.make_node("Conv", ["r1", "w2"], ["c2"], "conv2", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
             h.make_node("Add", ["c2", "r1"], ["a"], "sum"), h.make_node("LeakyRelu", ["a"], ["la"], "leaky", alpha=0.1),
             h.make_node("Conv", ["la", "w3", "b3"], ["c3"], "depthwise", kernel_shape=[3, 3], group=8),
             h.make_node("Sigmoid", ["c3"], ["s3"], "sigmoid"), h.make_node("Mul", ["c3", "s3"], ["m3"], "swish"),
             h.make_node("MaxPool", ["m3"], ["p3"], "maxpool", kernel_shape=[2, 2], strides=[2, 2]),
             # three, and nine below: a mean of codes that is no tie, so that float arithmetic decides nothing
             h.make_node("AveragePool", ["m3"], ["v3"], "averagepool", kernel_shape=[3, 1], strides=[2, 2],
                         pads=[1, 0, 0, 0], count_include_pad=1),
             h.make_node("Concat", ["p3", "v3"], ["j"], "joined", axis=1),
             h.make_node("GlobalAveragePool", ["j"], ["g"], "mean"), h.make_node("Flatten", ["g"], ["f"], "flat"),
             h.make_node("Gemm", ["f", "fc", "bf"], ["l"], "fc", transB=1), h.make_node("MatMul", ["l", "mm"], ["k"], "mm"),
             h.make_node("Softmax", ["k"], ["y"], "softmax", axis=1)]
    g = h.make_graph(nodes, "small", [h.make_tensor_value_info("x", T.FLOAT, ["N", 3, 16, 16])],
                     [h.make_tensor_value_info("y", T.FLOAT, ["N", 5])],
                     [numpy_helper.from_array(v.astype(np.float32), k) for k, v in w.items()])
    onnx.save(h.make_model(g, opset_imports=[h.make_opsetid("", 13)], ir_version=8), path)


# ---- operators of com.microsoft ----

def scalar(r, signed):
    t = np.int8 if signed else np.uint8
    return np.array(r.integers(np.iinfo(t).min, np.iinfo(t).max + 1), t)


def operator(r, i, op, shapes, x_scales=1, **attributes):
    signed = bool(r.integers(2))
    t = np.int8 if signed else np.uint8
    lo, hi = np.iinfo(t).min, np.iinfo(t).max + 1
    x, c = {}, {}

    def grid(name, near=False):
        c[name + "s"] = np.float32(r.uniform(0.005, 0.05) if r.integers(2) else 0.01 * 2.0 ** r.integers(0, 3))
        c[name + "z"] = np.array(r.integers(lo // 2, hi // 2), t) if near else scalar(r, signed)
        return [name + "s", name + "z"]

    inputs = []
    for k, shape in enumerate(shapes):
        x[f"x{k}"] = r.integers(lo, hi, shape).astype(t)
        inputs += [f"x{k}", *grid(f"x{k}")]
    y = grid("y", near=True)
    inputs = y + inputs if op == "QLinearConcat" else inputs + y
    if op == "QLinearSoftmax":
        c["ys"], c["yz"] = np.float32(1 / 256), np.array(lo, t)
    elem = T.INT8 if signed else T.UINT8
    g = h.make_graph([h.make_node(op, inputs, ["y"], "op", domain=MS, **attributes)], "g",
                     [h.make_tensor_value_info(n, elem, a.shape) for n, a in x.items()],
                     [h.make_tensor_value_info("y", elem, None)],
                     [numpy_helper.from_array(np.asarray(v), k) for k, v in c.items()])
    m = h.make_model(g, opset_imports=[h.make_opsetid("", 13), h.make_opsetid(MS, 1)], ir_version=8)
    global passed
    try:
        with tempfile.TemporaryDirectory() as d:
            got = brim_values(pathlib.Path(d), m, x, ["y"])[0]
        want = onnxruntime(m, x, ["y"])[0]
        off = np.abs(got.astype(int) - want.astype(int))
        # the logistic function of onnxruntime is a rational approximation, and its exponential another library's
        if op in ("QLinearSigmoid", "QLinearSoftmax") and off.max() <= 1 and (off > 0).mean() < 0.02:
            off[:] = 0
        if got.shape != want.shape or off.max() > 0:
            raise RuntimeError(f"{got.shape} and {want.shape} differ in {100 * (off > 0).mean():.3f} %, by {off.max()}")
        passed += 1
    except RuntimeError as e:
        failed.append(f"{op} {i}: {e}")


def operators(r):
    for i in range(12):
        a, b = [((2, 5, 33), (2, 5, 33)), ((2, 5, 33), (1,)), ((1, 1), (3, 64)), ((2, 5, 7), (5, 1))][i % 4]
        operator(r, i, "QLinearAdd", (a, b))
        operator(r, i, "QLinearMul", (a, b))
        operator(r, i, "QLinearGlobalAveragePool", [(2, 9, int(r.integers(1, 12)), 5)], channels_last=0)
        operator(r, i, "QLinearAveragePool", [(2, 3, 9, 11)], kernel_shape=[3, 2], strides=[2, 1],
                 pads=[1, 0, 1, 1], count_include_pad=i % 2, ceil_mode=i // 2 % 2)
        operator(r, i, "QLinearConcat", [(2, 3, 4), (2, 5, 4), (2, 1, 4)], axis=1)
        operator(r, i, "QLinearLeakyRelu", [(3, 50)], alpha=float(r.uniform(0.01, 0.3)))
        operator(r, i, "QLinearSigmoid", [(3, 50)])
        operator(r, i, "QLinearSoftmax", [(3, 10, 4)], axis=1, opset=[13, 11][i % 2])


# ---- Intel Neural Compressor ----

def neural_compressor(r, dynamic):
    """Its files: nodes named ..._quant; a QDQ layer may leave its output in float, biases may; dynamic ones quantize the bias at
    run time and add it to the integers: Mul of the scales, Div, Floor, Cast to int32, Add."""
    c = {"w": r.integers(-127, 128, (6, 3, 3, 3)).astype(np.int8), "ws": r.uniform(0.001, 0.01, 6).astype(np.float32),
         "wz": np.zeros(6, np.int8), "b": r.normal(0, 1, 6).astype(np.float32), "xs": np.float32(0.02), "xz": np.uint8(110),
         "fw": r.integers(0, 256, (6, 4)).astype(np.uint8), "fs": np.float32(0.01), "fz": np.uint8(127),
         "shape": np.array([1, -1, 1, 1], np.int64), "ys": np.float32(0.05), "yz": np.uint8(3),
         "one_ws": np.float32(0.004), "one_wz": np.int8(0)}
    if dynamic:
        nodes = [h.make_node("DynamicQuantizeLinear", ["x"], ["xq", "xds", "xdz"], "x_QuantizeLinear"),
                 h.make_node("ConvInteger", ["xq", "w", "xdz", "one_wz"], ["ci"], "conv_quant", kernel_shape=[3, 3],
                             pads=[1, 1, 1, 1]),
                 h.make_node("Mul", ["xds", "one_ws"], ["sc"], "scales_mul"),
                 h.make_node("Div", ["b", "sc"], ["bq"], "bias_div"), h.make_node("Floor", ["bq"], ["bf"], "bias_floor"),
                 h.make_node("Cast", ["bf"], ["bi"], "bias_cast", to=T.INT32),
                 h.make_node("Reshape", ["bi", "shape"], ["br"], "bias_reshape"),
                 h.make_node("Add", ["ci", "br"], ["cb"], "bias_add"),
                 h.make_node("Cast", ["cb"], ["cf"], "cast", to=T.FLOAT), h.make_node("Mul", ["cf", "sc"], ["c"], "mul")]
        nodes += [h.make_node("GlobalAveragePool", ["c"], ["g"], "gap"), h.make_node("Flatten", ["g"], ["f"], "flatten"),
                  h.make_node("DynamicQuantizeLinear", ["f"], ["fq", "fds", "fdz"], "f_QuantizeLinear"),
                  h.make_node("MatMulInteger", ["fq", "fw", "fdz", "fz"], ["y"], "fc_quant")]
        out = T.INT32
    else:
        nodes = [h.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"], "x_QuantizeLinear"),
                 h.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"], "x_DequantizeLinear"),
                 h.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], "w_DequantizeLinear", axis=0),
                 h.make_node("Conv", ["xd", "wd", "b"], ["c"], "conv_quant", kernel_shape=[3, 3]),
                 h.make_node("Relu", ["c"], ["r"], "relu"), h.make_node("GlobalAveragePool", ["r"], ["g"], "gap"),
                 h.make_node("Flatten", ["g"], ["f"], "flatten"),
                 h.make_node("QuantizeLinear", ["f", "ys", "yz"], ["fq"], "f_QuantizeLinear"),
                 h.make_node("DequantizeLinear", ["fq", "ys", "yz"], ["fd"], "f_DequantizeLinear"),
                 h.make_node("DequantizeLinear", ["fw", "fs", "fz"], ["fwd"], "fw_DequantizeLinear"),
                 h.make_node("MatMul", ["fd", "fwd"], ["y"], "fc_quant")]
        out = T.FLOAT
    used = {n for node in nodes for n in node.input}
    g = h.make_graph(nodes, "inc", [h.make_tensor_value_info("x", T.FLOAT, [1 if dynamic else "N", 3, 12, 12])],
                     [h.make_tensor_value_info("y", out, None)],
                     [numpy_helper.from_array(np.asarray(v), k) for k, v in c.items() if k in used])
    m = h.make_model(g, opset_imports=[h.make_opsetid("", 13)], ir_version=8)
    x = r.normal(0, 1, (1 if dynamic else 8, 3, 12, 12)).astype(np.float32)
    check(f"neural compressor {'dynamic' if dynamic else 'QDQ'}", m, {"x": x}, 2, None if dynamic else "fq")


def neural_compressor_itself(models):
    """Its own files, where it is installed (onnx-neural-compressor; not among the requirements, which it would double)."""
    try:
        from onnx_neural_compressor import data_reader
        from onnx_neural_compressor.quantization import QuantFormat as Format
        from onnx_neural_compressor.quantization import config, quantize
    except ImportError as e:
        print(f"skipped: files of Intel Neural Compressor's own ({e})")
        return

    class Batches(data_reader.CalibrationDataReader):
        def __init__(self, x):
            self.x = x
            self.rewind()

        def get_next(self):
            return next(self.batches, None)

        def rewind(self):
            self.batches = iter([{"input": self.x[i:i + 1]} for i in range(len(self.x))])

    for name, model, x in (("resnet8", "resnet8-cifar10-float-bn.onnx", pixels(10)),
                           ("dscnn", "dscnn-kws-float.onnx", mfcc(10))):
        for fmt, per_channel in ((Format.QDQ, True), (Format.QDQ, False), (Format.QOperator, True)):
            with tempfile.TemporaryDirectory() as d:
                out = f"{d}/q.onnx"
                quantize(str(models / model), out, config.StaticQuantConfig(Batches(x), quant_format=fmt,
                                                                           per_channel=per_channel))
                check(f"neural compressor's {name} {fmt.name}", onnx.load(out), {"input": x}, 10, "gap_out" if name[0] == "r"
                      else "globalaverage")


def pixels(n):
    import gzip
    raw = np.frombuffer(gzip.open(DATA / "cifar10/test_first1000.bin.gz").read(n * 3073), np.uint8)
    return raw.reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32)


def mfcc(n):
    import gzip
    raw = np.frombuffer(gzip.open(DATA / "mlperf-tiny/kws01-mfcc-idx3-int8.gz").read()[16:16 + n * 490], np.int8)
    return ((raw.reshape(-1, 1, 49, 10).astype(np.float32) - 83) * np.float32(0.5847029089927673)).astype(np.float32)


r = np.random.default_rng(6)
operators(r)
for kind in (False, True):
    neural_compressor(r, kind)
with tempfile.TemporaryDirectory() as folder:
    small_network(r, f"{folder}/small.onnx")
    every_format("small", f"{folder}/small.onnx", r.normal(0, 1, (12, 3, 16, 16)).astype(np.float32), 5, wide=True)
models = DATA / "mlperf-tiny/models"
if models.is_dir():
    every_format("resnet8", models / "resnet8-cifar10-float.onnx", pixels(10), 10, "gap")
    every_format("dscnn", models / "dscnn-kws-float.onnx", mfcc(10), 10, "globalaverage")
    neural_compressor_itself(models)
    every_format("autoencoder", models / "ad-autoencoder-float.onnx", r.normal(0, 5, (10, 640)).astype(np.float32), 10)
else:
    print(f"skipped: models in {models}, which is not here")
for line in failed:
    print(line)
print(f"{passed} models agree, {len(failed)} differ (onnxruntime {ort.__version__})")
sys.exit(1 if failed else 0)
