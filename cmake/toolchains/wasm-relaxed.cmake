# WebAssembly with relaxed SIMD. Emscripten 3.1.6 is built on clang 14 and binaryen 108, which are older than relaxed
# dot products; so clang 16 and its linker do the work, on the C library that emscripten brings. A module runs only
# where every instruction of it is known: this is a second build, not another file of the first one.
set(sysroot /usr/share/emscripten/cache/sysroot)
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_C_COMPILER clang-16)
set(CMAKE_C_COMPILER_TARGET wasm32-unknown-emscripten)
set(CMAKE_SYSROOT ${sysroot})
set(CMAKE_AR emar)
set(CMAKE_RANLIB emranlib)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_C_FLAGS_INIT "-msimd128 -mrelaxed-simd")
# -O0: no wasm-opt, which clang would find in binaryen's package and which spoils what it does not know.
set(CMAKE_EXE_LINKER_FLAGS_INIT
    "-O0 -fuse-ld=/usr/bin/wasm-ld-16 -nodefaultlibs -Wl,--initial-memory=134217728,-z,stack-size=1048576")
set(CMAKE_C_STANDARD_LIBRARIES "-lstandalonewasm -lc -ldlmalloc -lc -lcompiler_rt")
set(CMAKE_EXECUTABLE_SUFFIX_C .wasm)
set(CMAKE_CROSSCOMPILING_EMULATOR
    node --no-warnings --experimental-wasm-relaxed-simd ${CMAKE_CURRENT_LIST_DIR}/run_wasm.mjs)
