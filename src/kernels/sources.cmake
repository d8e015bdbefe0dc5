if(NOT BRIM_KERNELS_ONLY) # the simulator needs OpenBLAS
  target_sources(brim PRIVATE src/kernels/dot_cells.c src/kernels/dot_choice.c src/kernels/dot_gemm.c src/kernels/dot_gemm8.c src/kernels/dot_kernel.c
                             src/kernels/dot_lanes.c src/kernels/dot_plan.c src/kernels/dot_simulate.c src/kernels/dot_ordered.c
                             src/kernels/vector_dot.c src/kernels/lanes32.c src/kernels/lanes64.c)
endif()

# brim_kernel(<file> <flag>...): one family on one instruction set, built with its own flags and no
# others, so that no compiler can slip a newer instruction into it. Folders x86, arm and wasm are
# built for their processor only; every symbol of theirs is named from a family's table alone.
function(brim_kernel file)
  if(file MATCHES "^x86/" AND NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64"
     OR file MATCHES "^arm/" AND NOT CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64"
     OR file MATCHES "^wasm/" AND NOT CMAKE_SYSTEM_PROCESSOR MATCHES "wasm"
     OR file MATCHES "_relaxed" AND NOT CMAKE_C_FLAGS MATCHES "-mrelaxed-simd")
    return()
  endif()
  target_sources(brim PRIVATE src/kernels/${file})
  set_source_files_properties(src/kernels/${file} PROPERTIES COMPILE_OPTIONS "${ARGN}")
endfunction()

target_sources(brim PRIVATE src/kernels/probe.c)
foreach(set amx avx2 avx512 avx512vbmi avx512vnni avxvnni sse41) # assembly: needs no flags
  brim_kernel(x86/probe_${set}.c -Wno-overlength-strings)
endforeach()

target_sources(brim PRIVATE src/kernels/choice.c src/kernels/conv_kernel.c src/kernels/depthwise.c src/kernels/depthwise_table.c)
target_sources(brim PRIVATE src/kernels/epilogue.c src/kernels/gemm.c src/kernels/gemm_pack.c src/kernels/gemm_table.c
                            src/kernels/lookup.c src/kernels/lookup_pack.c src/kernels/lookup_table.c
                            src/kernels/simulate_table.c)
target_sources(brim PRIVATE src/kernels/gemv.c src/kernels/gemv_table.c)
target_sources(brim PRIVATE src/kernels/sparse.c src/kernels/sparse_table.c src/kernels/total.c)

# gcc 12 would load, and with lookups add, earlier than it has registers for.
set(in_order "$<$<C_COMPILER_ID:GNU>:-fno-schedule-insns>")
set(one_by_one "$<$<C_COMPILER_ID:GNU>:-fno-schedule-insns;-fno-tree-reassoc;-fno-tree-ter>")

brim_kernel(arm/depthwise_dotprod.c -march=armv8.2-a+dotprod)
brim_kernel(arm/depthwise_neon.c)
brim_kernel(arm/epilogue_neon.c)
brim_kernel(arm/gemm_dotprod.c -march=armv8.2-a+dotprod ${in_order})
brim_kernel(arm/gemm_neon.c ${in_order})
brim_kernel(arm/gemv_dotprod.c -march=armv8.2-a+dotprod ${in_order})
brim_kernel(arm/gemv_neon.c)
brim_kernel(arm/lookup_neon.c ${one_by_one})
brim_kernel(arm/sparse_neon.c)
brim_kernel(ref/depthwise_scalar.c)
brim_kernel(ref/epilogue_scalar.c)
brim_kernel(ref/gemm_scalar.c)
brim_kernel(ref/gemv_scalar.c)
brim_kernel(ref/lookup_scalar.c)
brim_kernel(ref/simulate_scalar.c)
brim_kernel(ref/sparse_scalar.c)
brim_kernel(wasm/depthwise_simd128.c)
brim_kernel(wasm/epilogue_simd128.c)
brim_kernel(wasm/gemm_relaxed.c)
brim_kernel(wasm/gemm_simd128.c)
brim_kernel(wasm/gemv_simd128.c)
brim_kernel(wasm/lookup_relaxed.c)
brim_kernel(wasm/lookup_simd128.c)
brim_kernel(wasm/sparse_simd128.c)
brim_kernel(x86/depthwise_avx2.c -mavx2)
brim_kernel(x86/depthwise_avx512.c -mavx512f -mavx512bw -mavx512dq -mavx512vl)
brim_kernel(x86/depthwise_avx512vnni.c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni)
brim_kernel(x86/epilogue_avx2.c -mavx2)
brim_kernel(x86/epilogue_avx512.c -mavx512f -mavx512bw -mavx512dq -mavx512vl)
brim_kernel(x86/epilogue_sse41.c -msse4.1)
brim_kernel(x86/gemm_amx.c -mamx-tile -mamx-int8)
brim_kernel(x86/gemm_avx2.c -mavx2)
brim_kernel(x86/gemm_avx512.c -mavx512f -mavx512bw -mavx512dq -mavx512vl)
brim_kernel(x86/gemm_avx512vnni.c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni)
brim_kernel(x86/gemm_avxvnni.c -mavx2 -mavxvnni)
brim_kernel(x86/gemm_sse41.c -msse4.1)
brim_kernel(x86/gemv_avx2.c -mavx2)
brim_kernel(x86/gemv_avx512vnni.c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni)
brim_kernel(x86/gemv_avxvnni.c -mavx2 -mavxvnni)
brim_kernel(x86/lookup_avx2.c -mavx2)
brim_kernel(x86/lookup_avx512.c -mavx512f -mavx512bw -mavx512dq -mavx512vl)
brim_kernel(x86/lookup_avx512vbmi.c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi)
brim_kernel(x86/simulate_avx2.c -mavx2)
brim_kernel(x86/simulate_avx512.c -mavx512f -mavx512bw -mavx512dq -mavx512vl)
brim_kernel(x86/simulate_avx512vnni.c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni)
brim_kernel(x86/sparse_avx512vbmi.c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi)
brim_kernel(x86/sparse_sse41.c -msse4.1)
