if(BRIM_KERNELS_ONLY) # neither threads nor files: nothing but libc
  target_sources(brim PRIVATE src/base/alloc.c src/base/cpu.c src/base/ctx.c src/base/rng.c src/base/serial.c)
else()
  target_sources(brim PRIVATE src/base/alloc.c src/base/cpu.c src/base/ctx.c src/base/file.c
                              src/base/hash.c src/base/parallel.c src/base/rng.c)
endif()
