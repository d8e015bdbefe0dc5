# Tests of the kernels that run wherever the kernels do: under an emulator, in a module.
add_executable(test_ports kernels/test_ports.c)
target_include_directories(test_ports PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(test_ports PRIVATE brim brim_flags)
add_test(NAME kernels.ports COMMAND test_ports)
include(kernels/checkasm.cmake)
