brim_test(onnx hostile)
brim_test(onnx models)
