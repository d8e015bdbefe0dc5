target_sources(brim PRIVATE src/run/dot_step.c src/run/exec.c src/run/fuse.c src/run/op.c src/run/plan.c src/run/ops/shape.c src/run/ops/table.c)
