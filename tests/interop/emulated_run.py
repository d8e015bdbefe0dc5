"""emulated_run.py FOLDER - onnxruntime over the models of a folder: N.onnx, N.npz and a line of outputs in N.txt give
N.out.npz. Runs under an emulator of another processor; prints what that processor has."""
import pathlib
import sys

import numpy as np
import onnxruntime as ort

try:
    from numpy._core._multiarray_umath import __cpu_features__ as cpu
except ImportError:
    cpu = {}
print(" ".join(f"{f}={int(cpu.get(f, False))}" for f in ("AVX2", "AVX512F", "AVX512_SKX", "AVX512_ICL")))
folder = pathlib.Path(sys.argv[1])
for path in sorted(folder.glob("*.onnx")):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    outputs = path.with_suffix(".txt").read_text().split()
    with np.load(path.with_suffix(".npz")) as inputs:
        values = session.run(outputs, dict(inputs))
    np.savez(path.with_suffix(".out.npz"), *values)
