target_sources(brim PRIVATE src/kernels/dot_kernel.c src/kernels/dot_plan.c src/kernels/lanes32.c
                            src/kernels/lanes64.c)
