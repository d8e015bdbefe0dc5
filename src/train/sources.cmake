target_sources(brim PRIVATE src/train/arch.c src/train/augment.c src/train/batch.c src/train/checkpoint.c
                            src/train/inputs.c src/train/optimizer.c src/train/param.c src/train/schedule.c)
target_sources(brim PRIVATE src/train/weights.c src/train/weights_fit.c src/train/weights_latent.c
                            src/train/weights_norm.c src/train/weights_start.c)
