target_sources(brim PRIVATE src/graph/attr.c src/graph/dot_find.c src/graph/dot_vectors.c src/graph/fold.c src/graph/fold_codes.c src/graph/graph.c
                            src/graph/infer_graph.c src/graph/layout.c src/graph/names.c
                            src/graph/pass.c src/graph/recode.c src/graph/rewrite.c src/graph/sink.c src/graph/sort.c
                            src/graph/type.c src/graph/upgrade.c src/graph/vector_grid.c)
# The operator table: one file per family.
target_sources(brim PRIVATE src/graph/infer.c src/graph/op.c src/graph/op_math.c src/graph/op_move.c
                            src/graph/op_shape.c src/graph/resolve.c)
target_sources(brim PRIVATE src/graph/op_microsoft.c src/graph/op_nn.c src/graph/op_qonnx.c src/graph/op_quant.c src/graph/scales.c
                            src/graph/window.c)
