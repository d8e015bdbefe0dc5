#!/usr/bin/env python3
"""onnxruntime_peer.py MODEL - runs a model when told to, for brim bench model to compare with.

Says "ready VERSION", or "missing WHY" and ends. Then, on standard input:

    batch B ELEMENTS   and B * ELEMENTS float32: the images of the runs to come; no answer
    run N              runs them N times; answers with the seconds of processor time it took

One thread, on the processors that the caller may use at that moment.
"""
import os
import sys
import time


def load(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return onnxruntime, session


class Batch:
    """The images as the model wants them: all at once where its batch is free, else piece by piece."""

    def __init__(self, onnxruntime, session, batch, images):
        import numpy

        wanted = session.get_inputs()[0]
        kind = {"tensor(float)": numpy.float32, "tensor(uint8)": numpy.uint8, "tensor(int8)": numpy.int8}[wanted.type]
        free = not isinstance(wanted.shape[0], int)
        size = batch if free else wanted.shape[0]
        x = numpy.frombuffer(images, numpy.float32).reshape([batch // size, size] + wanted.shape[1:])
        self.session = session
        self.bindings = []
        for part in x:
            binding = session.io_binding()
            binding.bind_cpu_input(wanted.name, numpy.ascontiguousarray(part.astype(kind)))
            for output in session.get_outputs():
                binding.bind_output(output.name, "cpu")
            self.bindings.append(binding)

    def run(self, count):
        start = time.thread_time()
        for _ in range(count):
            for binding in self.bindings:
                self.session.run_with_iobinding(binding)
        return time.thread_time() - start


def main():
    talk = sys.stdout
    try:
        onnxruntime, session = load(sys.argv[1])
    except Exception as error:  # whatever is wrong, the caller says it in one line
        print("missing", " ".join(str(error).split()), file=talk, flush=True)
        return
    print("ready onnxruntime", onnxruntime.__version__, file=talk, flush=True)
    batch = None
    for line in iter(sys.stdin.buffer.readline, b""):
        word, *numbers = line.split()
        if word == b"batch":
            os.sched_setaffinity(0, os.sched_getaffinity(os.getppid()))
            images, elements = map(int, numbers)
            batch = Batch(onnxruntime, session, images, sys.stdin.buffer.read(4 * images * elements))
        else:
            print(repr(batch.run(int(numbers[0]))), file=talk, flush=True)


main()
