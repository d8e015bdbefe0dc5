target_sources(brim PRIVATE src/tflite/builder.c src/tflite/flat.c src/tflite/load_tflite.c src/tflite/operators.c
                            src/tflite/read.c)
