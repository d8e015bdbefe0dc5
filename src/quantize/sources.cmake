target_sources(brim PRIVATE src/quantize/axe.c src/quantize/exact.c src/quantize/gpfq.c src/quantize/lanes.c src/quantize/layer.c
                            src/quantize/linalg.c src/quantize/optq.c src/quantize/polish.c
                            src/quantize/project.c src/quantize/qronos.c src/quantize/repair.c src/quantize/rtn.c
                            src/quantize/search.c src/quantize/solve.c src/quantize/sweep.c
                            src/quantize/vector.c)
