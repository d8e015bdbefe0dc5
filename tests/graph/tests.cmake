brim_test(graph dot)
brim_test(graph rewrite)
