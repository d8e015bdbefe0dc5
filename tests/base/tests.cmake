brim_test(base base)
brim_test(base half)
