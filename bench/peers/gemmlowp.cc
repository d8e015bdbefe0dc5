// gemmlowp.cc - a header-only C++ library; unsigned by unsigned, with offsets.
// SPDX-License-Identifier: Apache-2.0
#include <public/gemmlowp.h>

#include <new>
#include <tuple>
#include <vector>

#include "peers.h"

namespace
{

// Weights w + 128 and an offset of -128: the same totals. It packs both sides in every call.
struct State {
    const brim_bench_product *p;
    std::vector<uint8_t> w;
    gemmlowp::GemmContext context;
};

void *create(const brim_bench_product *p)
{
    State *s = new (std::nothrow) State;

    if (s == nullptr) {
        return nullptr;
    }
    s->p = p;
    s->w.resize(p->n * p->k);
    for (size_t i = 0; i < p->n * p->k; i++) {
        s->w[i] = static_cast<uint8_t>(p->w[i] + 128);
    }
    s->context.set_max_num_threads(1);
    return s;
}

void run(void *state)
{
    State *s = static_cast<State *>(state);
    const brim_bench_product *p = s->p;
    const int m = static_cast<int>(p->m), n = static_cast<int>(p->n), k = static_cast<int>(p->k);
    const gemmlowp::MatrixMap<const uint8_t, gemmlowp::MapOrder::RowMajor> x(p->x, m, k);
    const gemmlowp::MatrixMap<const uint8_t, gemmlowp::MapOrder::ColMajor> w(s->w.data(), k, n);
    gemmlowp::MatrixMap<int32_t, gemmlowp::MapOrder::RowMajor> y(static_cast<int32_t *>(p->y), m,
                                                                 n);

    gemmlowp::GemmWithOutputPipeline<uint8_t, int32_t, gemmlowp::DefaultL8R8BitDepthParams>(
        &s->context, x, w, &y, 0, -128, std::tuple<>());
}

void destroy(void *state)
{
    delete static_cast<State *>(state);
}

} // namespace

extern "C" const brim_bench_peer peer_gemmlowp = {"gemmlowp", true, create, run, destroy};
