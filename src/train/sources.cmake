target_sources(brim PRIVATE src/train/param.c)
