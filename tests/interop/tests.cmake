# The same integers as onnxruntime. Skipped (77) where Python or the packages are missing.
add_executable(dump_values interop/dump_values.c)
target_include_directories(dump_values PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(dump_values PRIVATE brim brim_flags brim_dependencies)
add_test(NAME interop.onnxruntime
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/interop/run.sh $<TARGET_FILE:dump_values>
                 $<TARGET_FILE:brim_cli> ${BRIM_DATA_DIR})
set_tests_properties(interop.onnxruntime PROPERTIES LABELS "interop" TIMEOUT 300 SKIP_RETURN_CODE 77)
