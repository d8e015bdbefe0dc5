brim_test(graph dot)
brim_test(graph graph)
brim_test(graph passes)
brim_test(graph rewrite)
