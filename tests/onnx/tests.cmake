brim_test(onnx hostile)
brim_test(onnx models)
brim_test(onnx qonnx)
