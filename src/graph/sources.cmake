target_sources(brim PRIVATE src/graph/infer.c src/graph/op.c src/graph/op_math.c src/graph/op_shape.c)
