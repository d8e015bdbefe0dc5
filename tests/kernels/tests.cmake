brim_test(kernels dot_kernel)
