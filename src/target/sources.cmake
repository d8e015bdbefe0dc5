# The built-in table is the file that is installed, in the library's data.
set(targets_c ${PROJECT_BINARY_DIR}/generated/target/targets_json.c)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/generated/target)
add_custom_command(
  OUTPUT ${targets_c}
  COMMAND ${CMAKE_COMMAND} -DFILE=${PROJECT_SOURCE_DIR}/share/brim/targets.json -DNAME=brim_targets_json
          -DOUT=${targets_c} -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
  DEPENDS ${PROJECT_SOURCE_DIR}/share/brim/targets.json ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
  COMMENT "Generating targets_json.c"
  VERBATIM)
target_sources(brim PRIVATE ${targets_c} src/target/read_target.c src/target/targets.c src/target/layer_walk.c)
