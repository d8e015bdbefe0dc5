"""emulated.py DUMP_VALUES BRIM DATA_DIR QEMU - brim's target x86-maddubs and onnxruntime on a processor without VNNI.

onnxruntime runs under QEMU's user mode emulation of a Haswell, whose AVX2 has no instruction but vpmaddubsw for products of
bytes. Every integer must be the one that brim predicts, where sums of pairs saturate and where other kernels are exact;
what brim proves must be exact there, and what it refutes must go wrong on the witness.
"""
import gzip
import json
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

DUMP, BRIM, DATA, QEMU = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4]
HERE = pathlib.Path(__file__).resolve().parent
TYPE = {np.uint8: T.UINT8, np.int8: T.INT8, np.float32: T.FLOAT}
cases, failed = [], []


class Case:
    """expect: "pairs" = must differ from exact arithmetic, "exact" = must not, "either" = only as brim predicts."""

    def __init__(self, name, model, inputs, outputs, expect="either"):
        self.name, self.model, self.inputs, self.outputs, self.expect = name, model, inputs, outputs, expect
        cases.append(self)

    def brim(self, folder, *options):
        """What brim computes, as arrays; its options say how."""
        paths = []
        for i, a in enumerate(self.inputs.values()):
            np.save(folder / f"in{i}.npy", a)
            paths.append(str(folder / f"in{i}.npy"))
        out = pathlib.Path(tempfile.mkdtemp(dir=folder))
        subprocess.run([DUMP, self.path, out, *options, ",".join(self.outputs), *paths], check=True, capture_output=True)
        return [np.load(out / f"{i}.npy") for i in range(len(self.outputs))]


def model(nodes, inputs, outputs, constants, opset=21):
    g = h.make_graph(nodes, "g", [h.make_tensor_value_info(n, TYPE[a.dtype.type], a.shape) for n, a in inputs.items()],
                     [h.make_tensor_value_info(n, t, None) for n, t in outputs.items()],
                     [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()])
    return h.make_model(g, opset_imports=[h.make_opsetid("", opset)], ir_version=10)


def codes(r, t, shape, lo=None, hi=None):
    i = np.iinfo(t)
    return r.integers(i.min if lo is None else lo, (i.max if hi is None else hi) + 1, shape).astype(t)


def conv(r, name, channels, outputs, kernel, groups=1, xt=np.uint8, wt=np.int8, expect="pairs", most=127):
    """QLinearConv with weights of full range and bright inputs."""
    lo = -most - 1 if wt is np.int8 else 0
    x = {"x": codes(r, xt, (2, channels, 7, 6), 90 if xt is np.uint8 else -30)}
    w = codes(r, wt, (outputs, channels // groups, kernel, kernel), lo, most if wt is np.int8 else 255)
    c = {"xs": np.float32(0.02), "xz": codes(r, xt, ()), "w": w, "ws": np.float32(0.01) + r.random(outputs, np.float32) / 20,
         "wz": np.zeros(outputs, wt) if wt is np.int8 else np.full(outputs, 128, wt), "ys": np.float32(0.5),
         "yz": codes(r, xt, ()), "b": r.integers(-5000, 5000, outputs).astype(np.int32)}
    node = h.make_node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["y"],
                       group=groups, kernel_shape=[kernel, kernel], pads=[int(kernel > 1)] * 4)
    return Case(name, model([node], x, {"y": TYPE[xt]}, c), x, ["y"], expect)


def products(r):
    for m, k, n in (1, 9, 5), (1, 64, 64), (7, 33, 17), (3, 700, 20):
        x = {"a": codes(r, np.uint8, (m, k), 90)}
        c = {"az": codes(r, np.uint8, ()), "b": codes(r, np.int8, (k, n)), "bz": codes(r, np.int8, (n,), -9, 9)}
        node = h.make_node("MatMulInteger", ["a", "b", "az", "bz"], ["y"])
        Case(f"MatMulInteger {m}x{k}x{n}", model([node], x, {"y": T.INT32}, c), x, ["y"], "pairs")
        c = {"as": np.float32(0.02), **c, "bs": np.float32(0.01) + r.random(n, np.float32) / 20, "ys": np.float32(0.5),
             "yz": codes(r, np.uint8, ())}
        node = h.make_node("QLinearMatMul", ["a", "as", "az", "b", "bs", "bz", "ys", "yz"], ["y"])
        Case(f"QLinearMatMul {m}x{k}x{n}", model([node], x, {"y": T.UINT8}, c), x, ["y"])
    for at, bt in (np.uint8, np.uint8), (np.int8, np.int8):
        x = {"a": codes(r, at, (5, 40))}
        c = {"az": codes(r, at, ()), "b": codes(r, bt, (40, 9)), "bz": codes(r, bt, (9,))}
        node = h.make_node("MatMulInteger", ["a", "b", "az", "bz"], ["y"])
        Case(f"MatMulInteger {at.__name__} x {bt.__name__}", model([node], x, {"y": T.INT32}, c), x, ["y"], "exact")


def gemm(r, xt, expect):
    """onnxruntime's own operator, with the weights of every output as a row."""
    x = {"a": codes(r, xt, (4, 50), 90 if xt is np.uint8 else -30)}
    c = {"as": np.float32(0.02), "az": codes(r, xt, ()), "b": codes(r, np.int8, (11, 50)),
         "bs": np.float32(0.01) + r.random(11, np.float32) / 20, "bz": np.zeros(11, np.int8),
         "c": r.integers(-5000, 5000, 11).astype(np.int32), "ys": np.float32(0.5), "yz": codes(r, xt, ())}
    node = h.make_node("QGemm", ["a", *c], ["y"], transB=1, domain="com.microsoft")
    m = model([node], x, {"y": TYPE[xt]}, c)
    m.opset_import.append(h.make_opsetid("com.microsoft", 1))
    Case(f"QGemm of {xt.__name__}", m, x, ["y"], expect)


def dynamic(r):
    """Inputs whose scale and zero point are found at run time."""
    x = {"x": (r.random((4, 60), np.float32) * 3 - np.float32(0.1))}
    c = {"b": codes(r, np.int8, (60, 9)), "bz": np.zeros(9, np.int8)}
    nodes = [h.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
             h.make_node("MatMulInteger", ["q", "b", "z", "bz"], ["y"])]
    Case("MatMulInteger, dynamic inputs", model(nodes, x, {"y": T.INT32}, c), x, ["y"], "pairs")


def chain(r):
    """Quantized convolutions as the QDQ format has them, with a Relu between."""
    c = {"xs": np.float32(0.02), "xz": np.uint8(7), "w": codes(r, np.int8, (20, 6, 3, 3)), "wz": np.zeros(20, np.int8),
         "ws": np.float32(0.01) + r.random(20, np.float32) / 20, "ys": np.float32(0.9), "yz": np.uint8(0),
         "v": codes(r, np.int8, (5, 20, 1, 1)), "vs": r.random(5, np.float32) / 20, "vz": np.zeros(5, np.int8),
         "ts": np.float32(0.9), "tz": np.uint8(100)}
    x = {"x": codes(r, np.uint8, (2, 6, 7, 6), 90)}

    def node(op, i, o, **a):
        return h.make_node(op, i.split(), [o], o + "_node", **a)

    nodes = [node("DequantizeLinear", "x xs xz", "xf"), node("DequantizeLinear", "w ws wz", "wf", axis=0),
             node("Conv", "xf wf", "c", kernel_shape=[3, 3]), node("Relu", "c", "cr"),
             node("QuantizeLinear", "cr ys yz", "y"), node("DequantizeLinear", "y ys yz", "yf"),
             node("DequantizeLinear", "v vs vz", "vf", axis=0), node("Conv", "yf vf", "d", kernel_shape=[1, 1]),
             node("QuantizeLinear", "d ts tz", "t")]
    Case("two convolutions, QDQ", model(nodes, x, {"y": T.UINT8, "t": T.UINT8}, c, 13), x, ["y", "t"], "pairs")


def witness(r, folder):
    """The input that brim says goes wrong, in a layer of which little else does."""
    w = codes(r, np.int8, (64, 30), -60, 60)
    w[21, 17], w[20, 17] = 100, 90
    x = {"a": np.zeros((1, 64), np.uint8)}
    m = model([h.make_node("MatMulInteger", ["a", "w"], ["y"], "layer")], x, {"y": T.INT32}, {"w": w})
    onnx.save(m, folder / "witness.model")
    p = subprocess.run([BRIM, "certify", folder / "witness.model", "--target", "x86-maddubs", "--json"],
                       capture_output=True, text=True)
    layer = json.loads(p.stdout)["layers"][0]
    if p.returncode != 3 or layer["witness"]["meet"] != [20, 21] or layer["at_risk"] != 1:
        failed.append(f"witness: brim certify exits {p.returncode}, {layer}")
    x["a"][0] = layer["witness"]["x"]
    Case("the witness of a layer", m, x, ["y"], "pairs")


def proven(r, folder):
    """Weights of 7 bits, as reduce_range makes them: proven, and so exact on every processor."""
    case = conv(r, "a layer that is proven", 20, 24, 3, expect="exact", most=63)
    onnx.save(case.model, folder / "proven.model")
    p = subprocess.run([BRIM, "certify", folder / "proven.model", "--target", "x86-maddubs"], capture_output=True)
    if p.returncode != 0:
        failed.append(f"proven: brim certify exits {p.returncode}: {p.stderr}")


def repaired(case, folder):
    """What brim fix makes of a model: the same kinds of nodes, and exact on every processor."""
    before, after = folder / "before.model", folder / "after.model"
    onnx.save(case.model, before)
    p = subprocess.run([BRIM, "fix", before, "-o", after, "--target", "x86-maddubs"], capture_output=True, text=True)
    if p.returncode != 0:
        failed.append(f"{case.name}: brim fix exits {p.returncode}: {p.stderr}")
        return
    m = onnx.load(after)
    kinds = [sorted(n.op_type for n in g.graph.node if any(w in n.op_type for w in ("Conv", "Gemm", "MatMul", "Quantize")))
             for g in (case.model, m)]
    if kinds[0] != kinds[1]:
        failed.append(f"{case.name}: brim fix has made {kinds[1]} of {kinds[0]}")
    Case(f"{case.name}, repaired", m, case.inputs, case.outputs, "exact")


def unsigned(m):
    """The same QDQ model with codes of activations moved from int8 to uint8."""
    weights = {n.input[0] for n in m.graph.node if n.op_type == "DequantizeLinear"} & {i.name for i in m.graph.initializer}
    zero = set()
    for n in m.graph.node:
        if n.op_type in ("QuantizeLinear", "DequantizeLinear") and n.input[0] not in weights:
            zero.add(n.input[2])
    for i in m.graph.initializer:
        if i.name in zero:
            moved = (numpy_helper.to_array(i).astype(int) + 128).astype(np.uint8)
            i.CopyFrom(numpy_helper.from_array(moved, i.name))
    del m.graph.value_info[:]
    return m


def shipped():
    """DS-CNN as it is shipped, int8: onnxruntime itself moves its codes to uint8. Of ResNet-8 it leaves some layers in float
    when it does that, so its codes are uint8 from the start, and every layer's are compared up to the float mean, whose last
    bit depends on the order of its sum; float values between the layers are asked for as well, which keeps them from being
    fused."""
    path = DATA / "mlperf-tiny/models/dscnn-kws-int8-qdq.onnx"
    if not path.exists():
        print(f"skipped: {path} is not here")
        return
    raw = np.frombuffer(gzip.open(DATA / "mlperf-tiny/kws01-mfcc-idx3-int8.gz").read()[16:16 + 20 * 490], np.int8)
    x = ((raw.reshape(-1, 1, 49, 10).astype(np.float32) - 83) * np.float32(0.5847029089927673)).astype(np.float32)
    m = onnx.load(path)
    Case("DS-CNN, int8 as shipped", m, {m.graph.input[0].name: x}, [m.graph.output[0].name], "pairs")
    raw = np.frombuffer(gzip.open(DATA / "cifar10/test_first1000.bin.gz").read(6 * 3073), np.uint8)
    x = raw.reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32)
    m = unsigned(onnx.load(DATA / "mlperf-tiny/models/resnet8-cifar10-int8-qdq.onnx"))
    wanted, floats = [], []
    for n in m.graph.node:
        if n.op_type == "GlobalAveragePool":
            break
        if n.op_type == "QuantizeLinear":
            wanted.append(n.output[0])
        elif n.op_type not in ("DequantizeLinear", "Conv", "Relu"):
            floats.append(n.output[0])
    m.graph.output.extend(h.make_tensor_value_info(n, t, None) for names, t in ((wanted, T.UINT8), (floats, T.FLOAT))
                          for n in names)
    Case("ResNet-8, nine convolutions", m, {m.graph.input[0].name: x}, wanted, "pairs")


def equal(case, a, b):
    """The least share of equal elements of an output."""
    return min(float(np.mean(v == w)) if v.shape == w.shape and v.dtype == w.dtype else 0.0 for v, w in zip(a, b))


def emulate(folder):
    for i, c in enumerate(cases):
        c.path = folder / f"{i:02}.onnx"
        onnx.save(c.model, c.path)
        np.savez(c.path.with_suffix(".npz"), **c.inputs)
        c.path.with_suffix(".txt").write_text(" ".join(c.outputs))
    p = subprocess.run([QEMU, "-cpu", "Haswell", sys.executable, HERE / "emulated_run.py", folder],
                       capture_output=True, text=True)
    if p.returncode != 0:
        failed.append(f"{QEMU} -cpu Haswell: onnxruntime exits {p.returncode}: {p.stderr[-400:]}")
        return False
    print(f"emulated processor: {p.stdout.strip()}")
    if "AVX2=1" not in p.stdout or "AVX512F=0" not in p.stdout:
        failed.append("the emulated processor is not one with AVX2 and without AVX-512")
    for c in cases:
        with np.load(c.path.with_suffix(".out.npz")) as f:
            c.emulated = [f[f"arr_{i}"] for i in range(len(c.outputs))]
    return True


def vnni():
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    return "avx512_vnni" in flags or "avx_vnni" in flags


def native(case):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(case.path), options, ["CPUExecutionProvider"]).run(case.outputs, case.inputs)


def judge(case, folder):
    pairs, exact = case.brim(folder, "-t", "x86-maddubs"), case.brim(folder, "-d", "64")
    predicted, plain = equal(case, pairs, case.emulated), equal(case, exact, case.emulated)
    if predicted != 1:
        failed.append(f"{case.name}: brim's x86-maddubs predicts {100 * predicted:.3f} % of what onnxruntime computes")
    if case.expect == "pairs" and plain == 1:
        failed.append(f"{case.name}: nothing saturates, so nothing is shown")
    if case.expect == "exact" and plain != 1:
        failed.append(f"{case.name}: {100 * plain:.3f} % are exact, expected all")
    if vnni() and equal(case, exact, native(case)) != 1:
        failed.append(f"{case.name}: onnxruntime with VNNI is not exact")
    print(f"{case.name:42} predicted {100 * predicted:7.3f} %   exact {100 * plain:7.3f} %")


def main():
    r = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as d:
        folder = pathlib.Path(d)
        for shape in (3, 16, 3), (3, 5, 3), (4, 16, 3), (16, 32, 3), (16, 32, 1), (5, 7, 3), (13, 40, 1):
            conv(r, "QLinearConv {} to {}, {}x{}".format(*shape, shape[2]), *shape)
        conv(r, "QLinearConv in 3 groups", 12, 18, 3, groups=3)
        conv(r, "QLinearConv, multiplied channels", 6, 12, 3, groups=6)
        conv(r, "QLinearConv depthwise 16", 16, 16, 3, groups=16, expect="exact")
        conv(r, "QLinearConv depthwise 5", 5, 5, 3, groups=5, expect="exact")
        conv(r, "QLinearConv of int8", 16, 32, 3, xt=np.int8, expect="exact")
        conv(r, "QLinearConv, uint8 weights", 16, 32, 3, wt=np.uint8, expect="exact")
        w = codes(r, np.int8, (9, 5, 3, 3))
        x = {"x": codes(r, np.uint8, (1, 5, 6, 6), 90)}
        Case("ConvInteger", model([h.make_node("ConvInteger", ["x", "w"], ["y"])], x, {"y": T.INT32}, {"w": w}), x, ["y"],
             "exact")
        products(r)
        gemm(r, np.uint8, "pairs")
        gemm(r, np.int8, "exact")
        dynamic(r)
        chain(r)
        witness(r, folder)
        proven(r, folder)
        shipped()
        for name in ("QLinearConv 16 to 32, 3x3", "QLinearConv in 3 groups", "QGemm of uint8", "MatMulInteger, dynamic inputs",
                     "two convolutions, QDQ", "DS-CNN, int8 as shipped", "ResNet-8, nine convolutions"):
            for case in [c for c in cases if c.name == name]:
                repaired(case, folder)
        if emulate(folder):
            for case in cases:
                judge(case, folder)
    print("\n".join(failed))
    print(f"{len(cases)} models, {len(failed)} failures (onnxruntime {ort.__version__}, "
          f"{'native VNNI compared as well' if vnni() else 'no VNNI here to compare with'})")
    return 1 if failed else 0


sys.exit(main())
