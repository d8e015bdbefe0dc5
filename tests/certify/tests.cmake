brim_test(certify certify)
