brim_test(certify certify)
brim_test(certify target)
