# Every variant of every kernel family against its formula, on every level of the processor (BRIM_CPU), newest to
# oldest: a level that this machine lacks says so and is skipped (77).
add_executable(checkasm
  kernels/checkasm.c
  kernels/check_conv.c
  kernels/check_depthwise.c
  kernels/check_epilogue.c
  kernels/check_gemm.c
  kernels/check_gemv.c
  kernels/check_lookup.c
  kernels/check_simulate.c
  kernels/check_sparse.c
  kernels/formulas.c
  kernels/products.c
  kernels/weights.c)
target_include_directories(checkasm PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
target_link_libraries(checkasm PRIVATE brim brim_flags)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(BRIM_LEVELS amx avx512vnni avx512 avxvnni avx2 sse41 scalar)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(BRIM_LEVELS dotprod neon scalar)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "wasm")
  set(BRIM_LEVELS relaxed simd128 scalar)
else()
  set(BRIM_LEVELS scalar)
endif()
foreach(level ${BRIM_LEVELS})
  add_test(NAME kernels.checkasm.${level} COMMAND checkasm)
  set_tests_properties(kernels.checkasm.${level} PROPERTIES LABELS kernels TIMEOUT 300 SKIP_RETURN_CODE 77
                                                            ENVIRONMENT BRIM_CPU=${level})
endforeach()
