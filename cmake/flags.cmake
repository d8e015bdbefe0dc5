# Warnings and code generation, the same for every target of ours.
add_library(brim_flags INTERFACE)
target_compile_features(brim_flags INTERFACE c_std_17)
set(CMAKE_C_EXTENSIONS OFF)
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "wasm")
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
target_compile_definitions(brim_flags INTERFACE _POSIX_C_SOURCE=200809L _DEFAULT_SOURCE)
target_compile_options(brim_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
  -Wcast-qual -Wcast-align -Wformat=2 -Wimplicit-fallthrough -Wnull-dereference -Wdouble-promotion
  # Results must not depend on the compiler: no fused multiply-add that the source does not ask for.
  -ffp-contract=off -fvisibility=hidden $<$<BOOL:${BRIM_WERROR}>:-Werror>)
if(BRIM_KERNELS_ONLY) # without OpenMP
  target_compile_options(brim_flags INTERFACE -Wno-unknown-pragmas)
endif()
if(BRIM_SANITIZE)
  target_compile_options(brim_flags INTERFACE -fsanitize=${BRIM_SANITIZE} -fno-omit-frame-pointer
                                              -fno-sanitize-recover=all)
  target_link_options(brim_flags INTERFACE -fsanitize=${BRIM_SANITIZE})
endif()
if(BRIM_FUZZ) # coverage counters for libFuzzer, which links its own main into the fuzz targets
  target_compile_options(brim_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
