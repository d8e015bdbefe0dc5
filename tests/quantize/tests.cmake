brim_test(quantize solvers)
brim_test(quantize budgets)
brim_test(quantize exact)
brim_test(quantize bench)
