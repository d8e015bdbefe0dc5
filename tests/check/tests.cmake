brim_test(check check)
target_link_libraries(test_check_check PRIVATE brim_check_core)
