target_sources(brim PRIVATE src/api/inspect.c src/api/run.c)
