# brim_fuzz(<name>): tests/fuzz/fuzz_<name>.c defines LLVMFuzzerTestOneInput. Its corpus in
# tests/fuzz/corpus/<name> replays as an ordinary test with any compiler; with BRIM_FUZZ (clang, see
# the preset "fuzz") the target fuzz_<name> is built as well:
#   build/fuzz/tests/fuzz_onnx -max_len=4096 build/corpus tests/fuzz/corpus/onnx
function(brim_fuzz name)
  foreach(target replay_${name} fuzz_${name})
    if(target STREQUAL fuzz_${name} AND NOT BRIM_FUZZ)
      continue()
    endif()
    add_executable(${target} fuzz/fuzz_${name}.c)
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests
                                                 ${PROJECT_BINARY_DIR}/generated)
    target_link_libraries(${target} PRIVATE brim brim_flags brim_dependencies)
  endforeach()
  target_sources(replay_${name} PRIVATE fuzz/replay.c)
  if(BRIM_FUZZ)
    target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  endif()
  add_test(NAME fuzz.${name}
           COMMAND replay_${name} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name})
  set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 120)
endfunction()

brim_fuzz(onnx)
brim_fuzz(tflite)
brim_fuzz(certificate)
foreach(target replay_certificate fuzz_certificate)
  if(TARGET ${target})
    target_link_libraries(${target} PRIVATE brim_check_core)
  endif()
endforeach()
brim_fuzz(checkpoint)
brim_fuzz(npy)
brim_fuzz(idx)
brim_fuzz(targets)
