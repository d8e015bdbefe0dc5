/* gemm_tile.h - one variant's tiles, of every height. SPDX-License-Identifier: Apache-2.0
 *
 * Included once for each variant, with its vectors and steps as macros:
 *
 *     TILE            the function to define: static void TILE(const struct brim_gemm_tile *t)
 *     ROWS            whose sums fit the registers, up to 12
 *     UNROLL          quads, 2 or 4, between one jump and the next
 *     VECTORS         of a row, 1, 2 or 4, of which PANEL_VECTORS make a panel
 *     VECTOR, ZERO(), LOAD(p), STORE(p, v), ADD(a, b)    ADD: lanes of 32 bits
 *     BROADCAST(p)    4 bytes of x in every 4 bytes
 *     STEP(sum, x, w) the sum, and a quad's products
 *     FIRST(x, w)     optional: the products alone, where that saves an addition
 *     WIDEN(sum)      LANE only: the two 16-bit lanes of every output, added in 32 bits
 *     EVEN(w), ODD(w) ANY only: a quad's first and third, second and fourth codes as 16-bit ones;
 *                     a quad is then two steps
 *
 * A row's broadcast serves VECTORS steps; x is read where it lies, or with EVEN and ODD from a copy
 * of some quads on the stack, divided alike. Every sum has a name, hence a register: compilers keep
 * arrays of vectors in memory. `rows` and `vectors` are constants where the function is inlined, and
 * what they leave out vanishes.
 */
#define EACH_ROW(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11)

#ifdef FIRST
#    define CLEARED(sum) (sum)
#else
#    define CLEARED(sum) ZERO()
#endif

#define SUMS(i)                                                                                    \
    VECTOR s##i##_0 = ZERO(), s##i##_1 = s##i##_0, s##i##_2 = s##i##_0, s##i##_3 = s##i##_0;
#define CLEAR(i) s##i##_0 = s##i##_1 = s##i##_2 = s##i##_3 = ZERO();

/* Every third row has a pointer; the next two are one and two strides from it. */
#define ROW_AT(i) (((i) < 3 ? x0 : (i) < 6 ? x3 : (i) < 9 ? x6 : x9) + (i) % 3 * stride)

#define ROW(i, OP)                                                                                 \
    if (rows > (i)) {                                                                              \
        const VECTOR x = BROADCAST(ROW_AT(i) + at);                                                \
        s##i##_0 = OP(s##i##_0, x, w0);                                                            \
        s##i##_1 = vectors > 1 ? OP(s##i##_1, x, w1) : s##i##_1;                                   \
        s##i##_2 = vectors > 2 ? OP(s##i##_2, x, w2) : s##i##_2;                                   \
        s##i##_3 = vectors > 2 ? OP(s##i##_3, x, w3) : s##i##_3;                                   \
    }
#define STEP_ROW(i)      ROW(i, STEP)
#define BEGIN_ROW(i)     ROW(i, BEGIN)
#define BEGIN(sum, x, w) FIRST(x, w)

#define STEP_ROWS(quad, offset, CODES, EACH)                                                       \
    {                                                                                              \
        const size_t at = QUAD_X * (quad) + (offset);                                              \
        const int8_t *v = w + (size_t)4 * BRIM_GEMM_PANEL * (quad);                                \
        const VECTOR w0 = CODES(LOAD(v)), w1 = vectors > 1 ? CODES(LOAD(v + next)) : w0;           \
        const VECTOR w2 = vectors > 2 ? CODES(LOAD(v + 2 * next)) : w0;                            \
        const VECTOR w3 = vectors > 2 ? CODES(LOAD(v + 3 * next)) : w0;                            \
                                                                                                   \
        EACH_ROW(EACH)                                                                             \
        __asm__ volatile("" ::: "memory"); /* the next loads stay behind */                        \
    }

#ifdef EVEN
#    define QUAD_X     8   /* bytes of x */
#    define PART_QUADS 64u /* of x on the stack */
#    define QUAD(quad) STEP_ROWS(quad, 0, EVEN, STEP_ROW) STEP_ROWS(quad, 4, ODD, STEP_ROW)
#else
#    define QUAD_X     4
#    define PART_QUADS UINT32_MAX
#    define SAME(w)    (w)
#    define QUAD(quad) STEP_ROWS(quad, 0, SAME, STEP_ROW)
#endif

/* x of the next tile, if its rows lie one after another; and half of the weights to come, into L2. */
#define FETCH(quads)                                                                               \
    for (size_t i = 0; i < (quads) / 2; i++) {                                                     \
        __builtin_prefetch(ahead);                                                                 \
        if (rows > 8) { /* more than a line for two quads */                                       \
            __builtin_prefetch(ahead + 64);                                                        \
            __builtin_prefetch(ahead + 128); /* of a source */                                     \
        }                                                                                          \
        ahead += 2 * ahead_step;                                                                   \
        __builtin_prefetch(to_come, 0, 2);                                                         \
        if (PANEL_VECTORS < vectors) {                                                             \
            __builtin_prefetch(to_come + next, 0, 2);                                              \
        }                                                                                          \
        to_come += 64;                                                                             \
    }

#define ADVANCE(quads)                                                                             \
    w += (size_t)4 * BRIM_GEMM_PANEL * (quads);                                                    \
    x0 += (size_t)QUAD_X * (quads);                                                                \
    x3 += (size_t)QUAD_X * (quads);                                                                \
    x6 += (size_t)QUAD_X * (quads);                                                                \
    x9 += (size_t)QUAD_X * (quads);

/* All but the first of UNROLL quads, and what is done once for these. */
#if UNROLL == 4
#    define QUADS_BEHIND QUAD(1) QUAD(2) QUAD(3) FETCH(4) ADVANCE(4)
#else
#    define QUADS_BEHIND QUAD(1) FETCH(2) ADVANCE(2)
#endif

#ifdef WIDEN
#    define TOTAL(sum) WIDEN(sum)
#else
#    define TOTAL(sum) (sum)
#endif

#define PUT(i, j)                                                                                  \
    if (vectors > (j)) {                                                                           \
        int32_t *to = y + (j) * (sizeof(VECTOR) / 4);                                              \
        STORE(to, add ? ADD(LOAD(to), TOTAL(s##i##_##j)) : TOTAL(s##i##_##j));                     \
        s##i##_##j = CLEARED(s##i##_##j);                                                          \
    }

#define PUT_ROW(i)                                                                                 \
    if (rows > (i)) {                                                                              \
        PUT(i, 0)                                                                                  \
        PUT(i, 1)                                                                                  \
        PUT(i, 2)                                                                                  \
        PUT(i, 3)                                                                                  \
        y += y_stride;                                                                             \
    }

#define PUT_ROWS                                                                                   \
    {                                                                                              \
        const size_t y_stride = t->y_stride;                                                       \
        int32_t *y = y_rows;                                                                       \
                                                                                                   \
        EACH_ROW(PUT_ROW)                                                                          \
    }

#define PASTE_(a, b) a##b
#define PASTE(a, b)  PASTE_(a, b)

#ifdef EVEN
/* Some quads of every row: even bytes in one word, odd ones in the next, each as 16 bits. */
static __attribute__((noinline)) void PASTE(TILE, _split)(const uint8_t *x, size_t stride,
                                                          size_t quads, unsigned rows,
                                                          uint32_t (*to)[2 * PART_QUADS])
{
    for (size_t i = 0; i < rows; i++) {
        for (size_t q = 0; q < quads; q++) {
            const uint32_t four = (uint32_t)brim_load32(x + i * stride + 4 * q);

            to[i][2 * q] = four & 0x00ff00ff;
            to[i][2 * q + 1] = four >> 8 & 0x00ff00ff;
        }
    }
}
#endif

static size_t PASTE(TILE, _quads)(const struct brim_gemm_tile *t)
{
    size_t quads = 0;

    for (size_t s = 0; s < t->spans; s++) {
        quads += t->span[s].quads;
    }
    return quads;
}

/* Parts first..first+count-1 of a tile, of equal heights, the first of which begins at `row`. */
static inline __attribute__((always_inline)) void
PASTE(TILE, _rows)(const struct brim_gemm_tile *t, unsigned first, const unsigned count,
                   const size_t row, const unsigned rows, const unsigned vectors)
{
    const size_t next = PANEL_VECTORS == 1 ? t->w_stride : sizeof(VECTOR);
    const uint8_t *x_rows = t->x + row * t->x_stride;
    int32_t *y_rows = t->y + row * t->y_stride;
#ifdef EVEN
    uint32_t split[ROWS][2 * PART_QUADS];
    const size_t stride = sizeof split[0];
#else
    const size_t stride = t->x_stride;
#endif

    EACH_ROW(SUMS)
    for (const unsigned end = first + count; first < end; first++) {
        const int8_t *w = t->w, *to_come = w;
        bool add = t->add;
#ifdef FIRST
        bool none = true; /* sums have no products yet */
#endif

        if (first < 2 && t->next != NULL) {
            to_come = t->next + (size_t)first * 32 * PASTE(TILE, _quads)(t);
        }
        for (size_t s = 0; s < t->spans; s++) {
            const uint32_t quads = t->span[s].quads;
            uint32_t done = 0, part;

            do {
                const uint8_t *x0 = x_rows + t->span[s].x + 4 * (size_t)done;

                part = quads - done < PART_QUADS ? quads - done : PART_QUADS;
#ifdef EVEN
                PASTE(TILE, _split)(x0, t->x_stride, part, rows, split);
                x0 = (const uint8_t *)split;
#endif
                const uint8_t *x3 = rows > 3 ? x0 + 3 * stride : x0;
                const uint8_t *x6 = rows > 6 ? x3 + 3 * stride : x0;
                const uint8_t *x9 = rows > 9 ? x6 + 3 * stride : x0;
                const uint8_t *ahead =
                    x_rows + t->span[s].x + rows * (t->x_stride + 4 * (size_t)done);
                size_t ahead_step = t->x_stride >= 4 * (size_t)quads ? 4 * rows : 0;
                uint32_t q = part;

                if (t->source != NULL) { /* about half of it is used */
                    ahead = t->source + (size_t)(x_rows - t->x) / t->x_stride * t->source_stride +
                            (size_t)8 * rows * done;
                    ahead_step = (size_t)8 * rows;
                }
#ifdef FIRST
                if (none && q >= UNROLL) {
                    STEP_ROWS(0, 0, SAME, BEGIN_ROW)
                    QUADS_BEHIND
                    q -= UNROLL;
                } else if (none) {
                    EACH_ROW(CLEAR)
                }
                none = false;
#endif
                for (; q >= UNROLL; q -= UNROLL) {
                    QUAD(0)
                    QUADS_BEHIND
                }
#pragma GCC unroll 1
                for (; q > 0; q--) {
                    QUAD(0)
                    ADVANCE(1)
                }
                done += part;
            } while (done < quads);
#ifdef WIDEN
            if (t->span[s].widen) {
                PUT_ROWS
                add = true;
#    ifdef FIRST
                none = true;
#    endif
            }
#endif
        }
#ifndef WIDEN
        PUT_ROWS
#endif
        x_rows += rows * t->x_stride;
        y_rows += rows * t->y_stride;
    }
}

/* Where sums begin by themselves, one call makes all parts; elsewhere gcc 12 would run out of
 * registers. */
#ifdef FIRST
#    define TOGETHER(count) (count)
#else
#    define TOGETHER(count) ((void)(count), 1)
#endif

/* A function for every height: what its registers hold can be followed. */
#define HEIGHT(i)                                                                                  \
    static __attribute__((noinline)) void PASTE(TILE, _##i)(                                       \
        const struct brim_gemm_tile *t, unsigned first, unsigned count, size_t row)                \
    {                                                                                              \
        if (ROWS > (i) && PANEL_VECTORS < VECTORS && t->panels * PANEL_VECTORS < VECTORS) {        \
            PASTE(TILE, _rows)(t, first, TOGETHER(count), row, (i) + 1, PANEL_VECTORS);            \
        } else if (ROWS > (i)) {                                                                   \
            PASTE(TILE, _rows)(t, first, TOGETHER(count), row, (i) + 1, VECTORS);                  \
        }                                                                                          \
    }

EACH_ROW(HEIGHT) /* NOLINT(bugprone-branch-clone): of one panel, the same */

#define CASE(i)                                                                                    \
    case (i) + 1:                                                                                  \
        PASTE(TILE, _##i)(t, first, count, row);                                                   \
        break;

static void PASTE(TILE, _parts)(const struct brim_gemm_tile *t, unsigned first, unsigned count,
                                size_t row, unsigned rows)
{
    for (unsigned n; count > 0; first += n, count -= n, row += (size_t)n * rows) {
        n = TOGETHER(count);
        switch (rows) {
            EACH_ROW(CASE)
        default:
            break;
        }
    }
}

/* Many rows, in parts of nearly equal height: what a caller does for a tile costs as much as 10 or
 * 20 quads. The first two parts fetch half of the weights to come each. */
static void TILE(const struct brim_gemm_tile *t)
{
    const unsigned parts = (t->rows + ROWS - 1) / ROWS, even = t->rows / parts;
    const unsigned higher = t->rows % parts;

    PASTE(TILE, _parts)(t, 0, higher, 0, even + 1);
    PASTE(TILE, _parts)(t, higher, parts - higher, (size_t)higher * (even + 1), even);
}

#undef EACH_ROW
#undef SUMS
#undef CLEAR
#undef QUADS_BEHIND
#undef ROW_AT
#undef CLEARED
#undef ROW
#undef STEP_ROW
#undef BEGIN_ROW
#undef BEGIN
#undef STEP_ROWS
#undef QUAD
#undef QUAD_X
#undef PART_QUADS
#undef SAME
#undef FETCH
#undef ADVANCE
#undef TOTAL
#undef PUT
#undef PUT_ROW
#undef PUT_ROWS
#undef PASTE_
#undef PASTE
#undef TOGETHER
#undef HEIGHT
#undef CASE
#undef TILE
#undef STEP
#undef FIRST
#undef WIDEN
#undef EVEN
#undef ODD
