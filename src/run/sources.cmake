target_sources(brim PRIVATE src/run/code_step.c src/run/dot_step.c src/run/dot_total.c src/run/vector_step.c src/run/walk_step.c
                            src/run/exec.c src/run/fuse.c src/run/plan_layout.c src/run/op_fail.c src/run/plan.c src/run/plan_choice.c)
# How operators are computed: one file per family.
target_sources(brim PRIVATE src/run/ops/binary.c src/run/ops/cast.c src/run/ops/copy.c
                            src/run/ops/dropout.c src/run/ops/move.c src/run/ops/pad.c
                            src/run/ops/pow.c src/run/ops/reduce.c src/run/ops/shape.c
                            src/run/ops/table.c src/run/ops/unary.c src/run/ops/vector_quantize.c
                            src/run/ops/walk.c
                            src/run/ops/widen.c)
target_sources(brim PRIVATE src/run/ops/conv.c src/run/ops/conv_dnnl.c src/run/ops/conv_loop.c
                            src/run/ops/elem.c src/run/ops/integer.c src/run/ops/matmul.c
                            src/run/ops/nn.c src/run/ops/norm.c src/run/ops/pool.c
                            src/run/ops/product.c src/run/ops/qgemm.c src/run/ops/qlinear.c
                            src/run/ops/qlinear_pool.c src/run/ops/quantize_linear.c
                            src/run/ops/softmax.c)
# Exact products: fusing them with an addition changes no bit, see there.
set_source_files_properties(src/run/ops/product.c PROPERTIES COMPILE_OPTIONS -ffp-contract=fast)
