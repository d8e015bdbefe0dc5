brim_test(kernels dot_kernel)
brim_test(kernels gemm)
brim_test(kernels gemv)
brim_test(kernels lookup)
brim_test(kernels simulate)
brim_test(kernels sparse)
include(kernels/checkasm.cmake)
target_link_libraries(checkasm PRIVATE brim_dependencies)

# The same on processors of the past; AVX2 is the newest that qemu 7 knows, and its masked loads read all of a vector.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND NOT BRIM_SANITIZE)
  foreach(cpu Haswell-noTSX Nehalem Penryn)
    add_test(NAME kernels.checkasm.${cpu}
             COMMAND ${CMAKE_CURRENT_LIST_DIR}/emulated.sh ${cpu} $<TARGET_FILE:checkasm> --count 60 --no-guard)
    set_tests_properties(kernels.checkasm.${cpu} PROPERTIES LABELS kernels TIMEOUT 600 SKIP_RETURN_CODE 77)
  endforeach()
endif()
# The kernels of other processors (ports.cmake), each in a build of its own. Skipped (77) without its tools.
if(NOT BRIM_SANITIZE)
  foreach(port aarch64 wasm wasm-relaxed)
    add_test(NAME kernels.${port} COMMAND ${CMAKE_CURRENT_LIST_DIR}/cross.sh ${port} ${PROJECT_BINARY_DIR}/ports/${port})
    set_tests_properties(kernels.${port} PROPERTIES LABELS "kernels;ports" TIMEOUT 600 SKIP_RETURN_CODE 77)
  endforeach()
endif()
