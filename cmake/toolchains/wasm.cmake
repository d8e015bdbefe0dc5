# WebAssembly with SIMD128, by emscripten (Debian 12: 3.1.6, on clang 14). Programs are modules that import WASI
# alone: no JavaScript of emscripten's, which this version writes for older nodes, only run_wasm.mjs.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_C_COMPILER emcc)
set(CMAKE_AR emar)
set(CMAKE_RANLIB emranlib)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_C_FLAGS_INIT -msimd128)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-sSTANDALONE_WASM -sINITIAL_MEMORY=128MB -sTOTAL_STACK=1MB")
set(CMAKE_EXECUTABLE_SUFFIX_C .wasm)
set(CMAKE_CROSSCOMPILING_EMULATOR node --no-warnings ${CMAKE_CURRENT_LIST_DIR}/run_wasm.mjs)
