target_sources(brim PRIVATE src/base/alloc.c src/base/cpu.c src/base/ctx.c src/base/file.c
                            src/base/hash.c src/base/parallel.c src/base/rng.c)
