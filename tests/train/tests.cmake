brim_test(train param)
