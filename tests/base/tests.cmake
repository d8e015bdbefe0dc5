brim_test(base base)
