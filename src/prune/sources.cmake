target_sources(brim PRIVATE src/prune/prune.c)
