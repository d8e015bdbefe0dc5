brim_test(kernels dot_kernel)
brim_test(kernels gemm)
# The kernels of other processors (ports.cmake), each in a build of its own. Skipped (77) without its tools.
if(NOT BRIM_SANITIZE)
  foreach(port aarch64 wasm wasm-relaxed)
    add_test(NAME kernels.${port} COMMAND ${CMAKE_CURRENT_LIST_DIR}/cross.sh ${port} ${PROJECT_BINARY_DIR}/ports/${port})
    set_tests_properties(kernels.${port} PROPERTIES LABELS "kernels;ports" TIMEOUT 600 SKIP_RETURN_CODE 77)
  endforeach()
endif()
