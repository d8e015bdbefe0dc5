# The same integers as onnxruntime. Skipped (77) where Python or the packages are missing.
add_executable(dump_values interop/dump_values.c)
target_include_directories(dump_values PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(dump_values PRIVATE brim brim_flags brim_dependencies)
add_test(NAME interop.onnxruntime
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/interop/run.sh ${CMAKE_CURRENT_SOURCE_DIR}/interop/compare.py
                 $<TARGET_FILE:dump_values> $<TARGET_FILE:brim_cli> ${BRIM_DATA_DIR})
set_tests_properties(interop.onnxruntime PROPERTIES LABELS "interop" TIMEOUT 300 SKIP_RETURN_CODE 77)

# onnxruntime on a processor without VNNI, emulated: skipped as well where the emulator is missing, or another processor here.
set(QEMU_X86_64 QEMU_X86_64-NOTFOUND)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  find_program(QEMU_X86_64 qemu-x86_64)
endif()
add_test(NAME interop.emulated
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/interop/run.sh ${CMAKE_CURRENT_SOURCE_DIR}/interop/emulated.py
                 $<TARGET_FILE:dump_values> $<TARGET_FILE:brim_cli> ${BRIM_DATA_DIR} ${QEMU_X86_64})
set_tests_properties(interop.emulated PROPERTIES LABELS "interop" TIMEOUT 300 SKIP_RETURN_CODE 77)

# Models by onnxruntime's own quantizer.
add_test(NAME interop.foreign
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/interop/run.sh ${CMAKE_CURRENT_SOURCE_DIR}/interop/foreign.py
                 $<TARGET_FILE:dump_values> $<TARGET_FILE:brim_cli> $<TARGET_FILE:brim_check> ${BRIM_DATA_DIR})
set_tests_properties(interop.foreign PROPERTIES LABELS "interop" TIMEOUT 300 SKIP_RETURN_CODE 77)
