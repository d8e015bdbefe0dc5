# Tests of the kernels that run wherever the kernels do: under an emulator, in a module.
add_executable(test_ports kernels/test_ports.c)
target_include_directories(test_ports PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(test_ports PRIVATE brim brim_flags)
add_test(NAME kernels.ports COMMAND test_ports)
include(kernels/checkasm.cmake)

# What `brim bench kernels` measures elsewhere: cmake --build --preset wasm-relaxed --target bench_ports_run
add_executable(bench_ports EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/bench/bench_ports.c)
target_include_directories(bench_ports PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(bench_ports PRIVATE brim brim_flags)
add_custom_target(bench_ports_run COMMAND bench_ports USES_TERMINAL)
