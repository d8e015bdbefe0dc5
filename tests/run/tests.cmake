brim_test(run conv)
brim_test(run nn)
