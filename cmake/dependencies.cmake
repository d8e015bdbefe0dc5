# docs/design.md section 5 says why each is here. Installed too: a static brim needs the same at link time.
find_package(PkgConfig REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)
find_package(ZLIB REQUIRED)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
pkg_check_modules(LAPACKE REQUIRED IMPORTED_TARGET lapacke)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(LIBMD REQUIRED IMPORTED_TARGET libmd)
find_path(DNNL_INCLUDE_DIR dnnl.h REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)

add_library(brim_dependencies INTERFACE)
target_include_directories(brim_dependencies SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})
target_link_libraries(brim_dependencies INTERFACE
  PkgConfig::PROTOBUF_C PkgConfig::OPENBLAS PkgConfig::LAPACKE PkgConfig::JANSSON PkgConfig::LIBMD
  ZLIB::ZLIB OpenMP::OpenMP_C ${DNNL_LIBRARY} m)
