# Shell scripts against the built programs; each runs in a scratch folder of its own.
add_executable(make_models cli/make_models.c)
target_include_directories(make_models PRIVATE ${PROJECT_SOURCE_DIR}/tests)
target_link_libraries(make_models PRIVATE brim_flags)
set(cases usage bench inspect import models fix certify certify_target data run_verb profile quantize train levels bad_input names output interrupt)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND NOT BRIM_SANITIZE)
  list(APPEND cases old_cpus)
endif()
foreach(case ${cases})
  add_test(NAME cli.${case}
           COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/cli/run.sh ${CMAKE_CURRENT_SOURCE_DIR}/cli/${case}.sh
                   ${PROJECT_BINARY_DIR} $<TARGET_FILE:make_models> ${BRIM_DATA_DIR})
  set_tests_properties(cli.${case} PROPERTIES LABELS cli TIMEOUT 120 SKIP_RETURN_CODE 77)
endforeach()
