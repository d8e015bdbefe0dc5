brim_test(graph dot)
