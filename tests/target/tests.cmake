brim_test(target layer_walk)
brim_test(target table)
