"""compare.py DUMP_VALUES BRIM DATA_DIR - brim and onnxruntime must give the same integers.

Where ONNX defines an integer result (QLinearConv, QLinearMatMul, ConvInteger, MatMulInteger, QuantizeLinear,
DequantizeLinear) random models are compared element by element. Of QDQ models the codes of every layer are compared:
onnxruntime rewrites Conv and Gemm between DequantizeLinear and QuantizeLinear into its integer kernels.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

DUMP, BRIM, DATA = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
RANGE = {np.uint8: (0, 255), np.int8: (-128, 127), np.uint16: (0, 65535), np.int16: (-32768, 32767)}
TYPE = {np.uint8: T.UINT8, np.int8: T.INT8, np.uint16: T.UINT16, np.int16: T.INT16, np.int32: T.INT32,
        np.float32: T.FLOAT}
passed, failed = 0, []


def codes(r, t, shape, small=0):
    lo, hi = RANGE[t]
    if small:
        mid = (lo + hi + 1) // 2
        lo, hi = max(lo, mid - small), min(hi, mid + small)
    return r.integers(lo, hi + 1, shape).astype(t)


def model(nodes, inputs, outputs, constants, opset=21):
    g = h.make_graph(nodes, "g", [h.make_tensor_value_info(n, TYPE[a.dtype.type], a.shape) for n, a in inputs.items()],
                     [h.make_tensor_value_info(n, t, None) for n, t in outputs.items()],
                     [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()])
    return h.make_model(g, opset_imports=[h.make_opsetid("", opset)], ir_version=10)


def brim(name, m, inputs, outputs):
    """Values that brim computes and what it says, or None after noting the failure."""
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        onnx.save(m, d / "m.onnx")
        paths = []
        for i, a in enumerate(inputs.values()):
            np.save(d / f"in{i}.npy", a)
            paths.append(str(d / f"in{i}.npy"))
        p = subprocess.run([DUMP, d / "m.onnx", d, ",".join(outputs), *paths], capture_output=True, text=True)
        if p.returncode != 0:
            failed.append(f"{name}: {p.stderr.strip()}")
            return None, None
        return [np.load(d / f"{i}.npy") for i in range(len(outputs))], p.stdout.strip()


def onnxruntime(m, inputs, outputs):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.qdqisint8allowed", "1")  # int8 activations too
    session = ort.InferenceSession(m.SerializeToString(), options, ["CPUExecutionProvider"])
    return session.run(list(outputs), inputs)


def check(name, m, inputs, outputs, integer_layers=None, pooled=()):
    """Every output must be equal. `pooled` are codes of what onnxruntime pools in float, a mean or a maximum of a
    convolution's outputs, whose last bit depends on the order of a sum: they may be off by one in a few samples, which are
    then left out of what follows."""
    global passed
    got, said = brim(name, m, inputs, outputs)
    if got is None:
        return
    kept = None  # samples to look at
    for o, a, b in zip(outputs, got, onnxruntime(m, inputs, outputs)):
        if a.shape != b.shape or a.dtype != b.dtype:
            failed.append(f"{name}: {o}: {a.dtype}{a.shape} and {b.dtype}{b.shape}")
            return
        same = (a == b).reshape(a.shape[0] if a.ndim else 1, -1)
        if kept is not None:
            same = same[kept]
        if o in pooled and np.abs(a.astype(int) - b.astype(int)).max() <= 1 and same.mean() > 0.99:
            whole = np.zeros(a.shape[0], bool)
            whole[np.arange(a.shape[0]) if kept is None else np.flatnonzero(kept)] = same.all(axis=1)
            kept = whole
        elif not same.all():
            failed.append(f"{name}: {o}: {a.dtype}{a.shape} differs in {100 - 100 * same.mean():.3f} %")
            return
    if kept is not None and kept.mean() < 0.8:
        failed.append(f"{name}: {' '.join(pooled)}: too many samples differ")
    elif integer_layers is not None and said != f"{integer_layers} integer layers":
        failed.append(f"{name}: {said}, expected {integer_layers}")
    else:
        passed += 1


def scale(r, shape=(), lo=0.001, hi=0.05):
    return r.uniform(lo, hi, shape).astype(np.float32)


def window(r, kernel):
    return dict(kernel_shape=list(kernel), strides=[int(v) for v in r.integers(1, 3, 2)],
                pads=[int(v) for v in r.integers(0, 3, 4)],
                dilations=[int(r.integers(1, 3)) if k > 1 else 1 for k in kernel])


def conv_shapes(r):
    kernel = [int(v) for v in r.integers(1, 4, 2)]
    groups, cg, ng = [(1, int(r.integers(1, 20)), int(r.integers(1, 20))), (3, 2, 4), (8, 1, 1), (6, 1, 2)][r.integers(4)]
    return (int(r.integers(1, 3)), groups * cg, 11, 9), (groups * ng, cg, *kernel), groups


def qlinear_conv(r, i):
    xs, ws, groups = conv_shapes(r)
    xt = [np.uint8, np.int8][r.integers(2)]
    wt = np.int8 if xt is np.int8 or r.integers(2) else np.uint8
    per_channel = bool(r.integers(2)) and wt is np.int8
    n = ws[0]
    c = {"xs": scale(r), "xz": codes(r, xt, ()), "w": codes(r, wt, ws), "ws": scale(r, (n,) if per_channel else ()),
         "wz": np.zeros((n,), wt) if per_channel else codes(r, wt, (), 20), "ys": scale(r, (), 0.05, 0.5),
         "yz": codes(r, xt, ()), "b": r.integers(-5000, 5000, n).astype(np.int32)}
    x = {"x": codes(r, xt, xs)}
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"] + (["b"] if r.integers(2) else [])
    c = {k: v for k, v in c.items() if k in names}
    node = h.make_node("QLinearConv", names, ["y"], group=groups, **window(r, ws[2:]))
    check(f"QLinearConv {i}", model([node], x, {"y": TYPE[xt]}, c), x, ["y"], 1)


def conv_integer(r, i):
    xs, ws, groups = conv_shapes(r)
    c = {"w": codes(r, [np.uint8, np.int8][r.integers(2)], ws), "xz": codes(r, np.uint8, ())}
    c["wz"] = codes(r, c["w"].dtype.type, (), 20)
    x = {"x": codes(r, np.uint8, xs)}
    node = h.make_node("ConvInteger", ["x", "w", "xz", "wz"], ["y"], group=groups, **window(r, ws[2:]))
    check(f"ConvInteger {i}", model([node], x, {"y": T.INT32}, c), x, ["y"], 1)


def qlinear_matmul(r, i):
    m, k, n = (int(v) for v in r.integers(1, 90, 3))
    at = [np.uint8, np.int8][r.integers(2)]
    bt = np.int8 if at is np.int8 or r.integers(2) else np.uint8
    per_column = bool(r.integers(2))
    shape = (n,) if per_column else ()
    c = {"as": scale(r), "az": codes(r, at, ()), "b": codes(r, bt, (k, n)), "bs": scale(r, shape),
         "bz": codes(r, bt, shape, 20), "ys": scale(r, (), 0.05, 0.5), "yz": codes(r, at, ())}
    x = {"a": codes(r, at, (m, k) if r.integers(2) else (2, m, k))}
    node = h.make_node("QLinearMatMul", ["a", "as", "az", "b", "bs", "bz", "ys", "yz"], ["y"])
    check(f"QLinearMatMul {i}", model([node], x, {"y": TYPE[at]}, c), x, ["y"], 1)


def matmul_integer(r, i):
    m, k, n = (int(v) for v in r.integers(1, 90, 3))
    at = np.uint8
    bt = [np.uint8, np.int8][r.integers(2)]
    c = {"az": codes(r, at, ()), "b": codes(r, bt, (k, n)), "bz": codes(r, bt, (n,) if r.integers(2) else (), 20)}
    x = {"a": codes(r, at, (m, k))}
    node = h.make_node("MatMulInteger", ["a", "b", "az", "bz"], ["y"])
    check(f"MatMulInteger {i}", model([node], x, {"y": T.INT32}, c), x, ["y"], 1)


def quantize(r, i):
    t = [np.uint8, np.int8, np.uint16, np.int16][r.integers(4)]
    x = {"x": (r.normal(0, 3, (3, 5, 7)) * 10.0 ** r.integers(-1, 2)).astype(np.float32)}
    axis = int(r.integers(3))
    shape = () if r.integers(2) else (x["x"].shape[axis],)
    c = {"s": scale(r, shape, 0.01, 0.2), "z": codes(r, t, shape)}
    if r.integers(2):  # ties: multiples of half a step
        x["x"] = (r.integers(-400, 400, (3, 5, 7)) * 0.5).astype(np.float32)
        c["s"] = np.full(shape, 1.0, np.float32)
    node = h.make_node("QuantizeLinear", ["x", "s", "z"], ["y"], axis=axis)
    check(f"QuantizeLinear {i}", model([node], x, {"y": TYPE[t]}, c), x, ["y"])
    x = {"x": codes(r, t, (3, 5, 7))}
    node = h.make_node("DequantizeLinear", ["x", "s", "z"], ["y"], axis=axis)
    check(f"DequantizeLinear {i}", model([node], x, {"y": T.FLOAT}, c), x, ["y"])


def qdq_chain(r, i):
    """input codes -> DQ -> Conv -> Relu -> Q -> DQ -> Conv -> Q: both layers' codes."""
    xs, ws, groups = conv_shapes(r)
    n = ws[0]
    c = {"xs": scale(r), "xz": codes(r, np.uint8, ()), "w": codes(r, np.int8, ws), "ws": scale(r, (n,)),
         "wz": np.zeros(n, np.int8), "ys": scale(r, (), 0.05, 0.5), "yz": np.uint8(0),
         "b": r.integers(-5000, 5000, n).astype(np.int32), "v": codes(r, np.int8, (5, n, 1, 1)),
         "vs": scale(r, (5,)), "vz": np.zeros(5, np.int8), "ts": scale(r, (), 0.05, 0.5), "tz": codes(r, np.uint8, ())}
    c["bs"] = (c["xs"] * c["ws"]).astype(np.float32)
    c["bz"] = np.zeros(n, np.int32)
    x = {"x": codes(r, np.uint8, xs)}

    def node(op, i, o, **a):
        return h.make_node(op, i.split(), [o], o + "_node", **a)

    nodes = [node("DequantizeLinear", "x xs xz", "xf"), node("DequantizeLinear", "w ws wz", "wf", axis=0),
             node("DequantizeLinear", "b bs bz", "bf", axis=0),
             node("Conv", "xf wf bf", "c", group=groups, **window(r, ws[2:])), node("Relu", "c", "cr"),
             node("QuantizeLinear", "cr ys yz", "y"), node("DequantizeLinear", "y ys yz", "yf"),
             node("DequantizeLinear", "v vs vz", "vf", axis=0), node("Conv", "yf vf", "d", kernel_shape=[1, 1]),
             node("QuantizeLinear", "d ts tz", "t")]
    check(f"QDQ chain {i}", model(nodes, x, {"y": T.UINT8, "t": T.UINT8}, c, 13), x, ["y", "t"], 2)


def every_layer(name, m, x, layers):
    """Every code tensor of a QDQ model. Float values between the integer layers (sums, means) are asked for as well:
    that keeps onnxruntime from fusing them into kernels of its own whose rounding ONNX does not define."""
    outputs, pooled, seen = {}, set(), False
    for n in m.graph.node:
        seen = seen or n.op_type in ("GlobalAveragePool", "AveragePool", "ReduceMean", "MaxPool")
        if n.op_type == "QuantizeLinear":
            outputs[n.output[0]] = T.INT8
            pooled |= {n.output[0]} if seen else set()
            seen = False
        elif n.op_type not in ("DequantizeLinear", "Conv", "Gemm", "MatMul", "Relu", "Identity"):
            outputs[n.output[0]] = T.FLOAT
    for n in m.graph.node:  # the type that its zero point has
        if n.op_type == "QuantizeLinear":
            outputs[n.output[0]] = next(i.data_type for i in m.graph.initializer if i.name == n.input[2])
    have = {o.name for o in m.graph.output}
    m.graph.output.extend(h.make_tensor_value_info(n, t, None) for n, t in outputs.items() if n not in have)
    check(name, m, {m.graph.input[0].name: x}, [n for n, t in outputs.items() if t != T.FLOAT], layers, pooled)


def shipped(name, x, layers):
    path = DATA / "mlperf-tiny/models" / name
    if path.exists():
        every_layer(name, onnx.load(path), x, layers)
    else:
        print(f"skipped: {path} is not here")


def written(model, calib, x, layers, *options):
    """A float model that brim has quantized."""
    with tempfile.TemporaryDirectory() as d:
        out = f"{d}/q.onnx"
        p = subprocess.run([BRIM, "quantize", model, "-o", out, "--calib", calib, "-q", *options],
                           capture_output=True, text=True)
        if p.returncode != 0:
            failed.append(f"brim quantize {model}: {p.stderr.strip()}")
            return
        every_layer(f"{pathlib.Path(model).name} by brim {' '.join(options)}", onnx.load(out), x, layers)


def near(model, calib, x, *options):
    """Scales per vector: ONNX defines the weights, but the sum of a Conv on them is float arithmetic, whose order
    differs. Codes behind it may then round the other way, so the outputs are held to 1 % of their range."""
    global passed
    with tempfile.TemporaryDirectory() as d:
        out, name = f"{d}/q.onnx", f"{pathlib.Path(model).name} by brim {' '.join(options)}"
        p = subprocess.run([BRIM, "quantize", model, "-o", out, "--calib", calib, "-q", *options],
                           capture_output=True, text=True)
        if p.returncode != 0:
            failed.append(f"brim quantize {model}: {p.stderr.strip()}")
            return
        m = onnx.load(out)
        onnx.checker.check_model(m, full_check=True)
        y = m.graph.output[0].name
        got, _ = brim(name, m, {m.graph.input[0].name: x}, [y])
        if got is None:
            return
        want = onnxruntime(m, {m.graph.input[0].name: x}, [y])[0]
        worst = np.abs(got[0] - want).max() / (want.max() - want.min())
        if worst > 0.01 or (got[0].argmax(1) != want.argmax(1)).any():
            failed.append(f"{name}: differs by {worst:.3%} of the outputs' range")
        else:
            passed += 1


def pixels():
    import gzip
    raw = np.frombuffer(gzip.open(DATA / "cifar10/test_first1000.bin.gz").read(20 * 3073), np.uint8)
    return raw.reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32)


def mfcc():
    import gzip
    raw = np.frombuffer(gzip.open(DATA / "mlperf-tiny/kws01-mfcc-idx3-int8.gz").read()[16:16 + 20 * 490], np.int8)
    return ((raw.reshape(-1, 1, 49, 10).astype(np.float32) - 83) * np.float32(0.5847029089927673)).astype(np.float32)


r = np.random.default_rng(1)
for i in range(25):
    for case in (qlinear_conv, conv_integer, qlinear_matmul, matmul_integer, quantize, qdq_chain):
        case(r, i)
if DATA.is_dir():
    shipped("resnet8-cifar10-int8-qdq.onnx", pixels(), 10)
    shipped("dscnn-kws-int8-qdq.onnx", mfcc(), 10)
    shipped("ad-autoencoder-int8-qdq.onnx", r.normal(0, 5, (20, 640)).astype(np.float32), 10)
glyphs = pathlib.Path(__file__).resolve().parents[2] / "examples/glyphs/glyphs.onnx"
for options in ("--datapath=32",), ("--datapath=16",), ("--datapath=18", "--act=symmetric"), ("--datapath=16", "--wbits=4"):
    written(glyphs, "synth:glyphs?limit=200", r.integers(0, 256, (20, 1, 28, 28)).astype(np.float32), None,
            *options)
for options in (("--scale-bits=4",), ("--scale-bits=0",), ("--scale-bits=10", "--vector-range=mse"),
                ("--vector-inputs=static", "--abits=4"), ("--vector-inputs=dynamic", "--abits=4"),
                ("--prune=2:4",)):
    near(glyphs, "synth:glyphs?limit=200", r.integers(0, 256, (20, 1, 28, 28)).astype(np.float32), "--wbits=4",
         "--vector=16", *options)
if (DATA / "mlperf-tiny/models").is_dir():
    # nine: the last layer ends in float, so nothing asks for it
    kws = DATA / "mlperf-tiny/kws01-mfcc-idx3-int8.gz"
    written(DATA / "mlperf-tiny/models/dscnn-kws-float.onnx", f"idx:{kws}?scale=0.5847029089927673&zero=83&limit=50",
            mfcc(), 9, "--datapath=20", "--budget=axe")
for line in failed:
    print(line)
print(f"{passed} models agree, {len(failed)} differ (onnxruntime {ort.__version__})")
sys.exit(1 if failed else 0)
