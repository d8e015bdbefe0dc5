/* peers.c - the table that brim bench kernels asks for. SPDX-License-Identifier: Apache-2.0 */
#include "peers.h"

#include <omp.h>

__attribute__((visibility("default"))) brim_bench_peers_fn brim_bench_peers;

const brim_bench_peer *brim_bench_peers(size_t *count)
{
    static brim_bench_peer table[6];
    size_t n = 0;

    omp_set_num_threads(1); /* oneDNN's and OpenBLAS's threads */
#ifdef WITH_ONEDNN
    table[n++] = peer_onednn_matmul;
    table[n++] = peer_onednn_inner;
    table[n++] = peer_onednn_gemm;
#endif
#ifdef WITH_XNNPACK
    table[n++] = peer_xnnpack;
#endif
#ifdef WITH_GEMMLOWP
    table[n++] = peer_gemmlowp;
#endif
#ifdef WITH_OPENBLAS
    table[n++] = peer_openblas;
#endif
    *count = n;
    return table;
}
