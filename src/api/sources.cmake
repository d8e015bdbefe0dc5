target_sources(brim PRIVATE src/api/bench_clock.c src/api/bench_conv.c src/api/bench_gemm.c src/api/bench_gemv.c src/api/bench_goals.c
                            src/api/bench_kernels.c src/api/bench_list.c src/api/bench_lookup.c src/api/bench_measure.c src/api/bench_model.c
                            src/api/bench_product.c src/api/bench_simulate.c src/api/bench_solver.c
                            src/api/bench_sparse.c src/api/fix.c src/api/fix_order.c src/api/fix_repair.c
                            src/api/inspect.c src/api/quantize.c
                            src/api/quantize_prepare.c src/api/quantize_solve.c src/api/profile.c src/api/profile_predict.c
                            src/api/profile_report.c src/api/profile_see.c src/api/run.c
                            src/api/train.c src/api/train_finish.c src/api/train_net.c src/api/train_prune.c
                            src/api/train_start.c src/api/train_stints.c)
