brim_test(calibrate activations)
brim_test(calibrate grid)
brim_test(calibrate moments)
brim_test(calibrate residual)
