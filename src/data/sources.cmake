target_sources(brim PRIVATE src/data/array.c src/data/cifar.c src/data/csv.c src/data/dataset.c
                            src/data/idx.c src/data/npy.c src/data/npz.c src/data/save.c
                            src/data/spec.c src/data/synth.c)
