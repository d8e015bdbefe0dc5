brim_test(onnx models)
