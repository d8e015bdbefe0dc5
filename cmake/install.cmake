# Headers, library, both programs, the demo's model, find_package(brim) and pkg-config.
include(CMakePackageConfigHelpers)
set(brim_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/brim)

install(TARGETS brim EXPORT brim-targets)
install(TARGETS brim_cli brim_check)
install(DIRECTORY include/brim TYPE INCLUDE)
install(FILES examples/glyphs/glyphs.onnx share/brim/targets.json DESTINATION ${CMAKE_INSTALL_DATADIR}/brim)
install(EXPORT brim-targets NAMESPACE brim:: DESTINATION ${brim_cmake_dir})

configure_package_config_file(cmake/brim-config.cmake.in ${PROJECT_BINARY_DIR}/brim-config.cmake
                              INSTALL_DESTINATION ${brim_cmake_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/brim-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/brim-config.cmake ${PROJECT_BINARY_DIR}/brim-config-version.cmake
              cmake/dependencies.cmake DESTINATION ${brim_cmake_dir})

configure_file(cmake/brim.pc.in ${PROJECT_BINARY_DIR}/brim.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/brim.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
