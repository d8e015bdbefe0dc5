brim_test(train inputs)
brim_test(train param)
