/* peers.h - other libraries' integer products, as struct brim_bench_peer. SPDX-License-Identifier:
 * Apache-2.0
 *
 * One file per library; each packs weights in create, as far as its interface lets it, and runs on
 * the calling thread alone.
 */
#ifndef BRIM_BENCH_PEERS_H
#define BRIM_BENCH_PEERS_H

#include <brim/bench.h>

#ifdef __cplusplus
extern "C" {
#endif

extern const brim_bench_peer peer_onednn_matmul, peer_onednn_inner, peer_onednn_gemm;
extern const brim_bench_peer peer_xnnpack, peer_gemmlowp, peer_openblas;

#ifdef __cplusplus
}
#endif

#endif
