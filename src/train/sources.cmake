target_sources(brim PRIVATE src/train/arch.c src/train/augment.c src/train/batch.c src/train/checkpoint.c
                            src/train/inputs.c src/train/optimizer.c src/train/param.c src/train/schedule.c)
