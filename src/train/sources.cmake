target_sources(brim PRIVATE src/train/inputs.c src/train/param.c)
