target_sources(brim PRIVATE src/calibrate/accumulate.c src/calibrate/activations.c
                            src/calibrate/feed.c src/calibrate/grid.c src/calibrate/im2col.c
                            src/calibrate/lanes_block.c src/calibrate/moments.c
                            src/calibrate/residual.c)
