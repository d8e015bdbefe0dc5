if(NOT BRIM_KERNELS_ONLY) # the simulator needs OpenBLAS
  target_sources(brim PRIVATE src/kernels/dot_kernel.c src/kernels/dot_plan.c src/kernels/lanes32.c
                              src/kernels/lanes64.c)
endif()

# brim_kernel(<file> <flag>...): one family on one instruction set, built with its own flags and no
# others, so that no compiler can slip a newer instruction into it. Folders x86, arm and wasm are
# built for their processor only; every symbol of theirs is named from a family's table alone.
function(brim_kernel file)
  if(file MATCHES "^x86/" AND NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64"
     OR file MATCHES "^arm/" AND NOT CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64"
     OR file MATCHES "^wasm/" AND NOT CMAKE_SYSTEM_PROCESSOR MATCHES "wasm")
    return()
  endif()
  target_sources(brim PRIVATE src/kernels/${file})
  set_source_files_properties(src/kernels/${file} PROPERTIES COMPILE_OPTIONS "${ARGN}")
endfunction()

target_sources(brim PRIVATE src/kernels/epilogue.c src/kernels/gemm.c src/kernels/gemm_pack.c src/kernels/gemm_table.c)

brim_kernel(ref/epilogue_scalar.c)
brim_kernel(ref/gemm_scalar.c)
