brim_test(prune prune)
