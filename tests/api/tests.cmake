# What is installed can be used by strangers; every public header compiles alone, as C99 and as C++.
if(NOT BRIM_SANITIZE)
  add_test(NAME api.install COMMAND ${CMAKE_CURRENT_LIST_DIR}/install.sh ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  set_tests_properties(api.install PROPERTIES LABELS api TIMEOUT 300)
endif()
add_test(NAME api.headers COMMAND ${CMAKE_CURRENT_LIST_DIR}/headers.sh ${PROJECT_SOURCE_DIR})
set_tests_properties(api.headers PROPERTIES LABELS api)
brim_test(api determinism)
brim_test(api starving)
