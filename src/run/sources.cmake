target_sources(brim PRIVATE src/run/op.c src/run/ops/shape.c src/run/ops/table.c)
