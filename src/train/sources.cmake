target_sources(brim PRIVATE src/train/arch.c src/train/augment.c src/train/batch.c src/train/checkpoint.c
                            src/train/fit.c src/train/history.c
                            src/train/inputs.c src/train/optimizer.c src/train/param.c src/train/schedule.c)
target_sources(brim PRIVATE src/train/weights.c src/train/weights_nearest.c src/train/weights_latent.c
                            src/train/weights_norm.c src/train/weights_start.c)
# The engine, and how its operators are computed.
target_sources(brim PRIVATE src/train/build.c src/train/dnnl_conv.c src/train/engine.c
                            src/train/loss.c src/train/program.c)
target_sources(brim PRIVATE src/train/ops/activation.c src/train/ops/batchnorm.c
                            src/train/ops/concat.c src/train/ops/convolution.c
                            src/train/ops/dense.c src/train/ops/drop.c src/train/ops/permute.c
                            src/train/ops/pooling.c src/train/ops/sum.c
                            src/train/ops/weighted.c)
