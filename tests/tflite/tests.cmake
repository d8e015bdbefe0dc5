brim_test(tflite tflite)
