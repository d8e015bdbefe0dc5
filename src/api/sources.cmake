target_sources(brim PRIVATE src/api/inspect.c)
