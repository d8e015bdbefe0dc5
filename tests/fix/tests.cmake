brim_test(fix pairing)
