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

#define SUMS(i)                                                                                    \
    VECTOR s##i##_0 = ZERO(), s##i##_1 = s##i##_0, s##i##_2 = s##i##_0, s##i##_3 = s##i##_0;

/* Every third row has a pointer; the next two are one and two strides from it. */
#define ROW_AT(i) (((i) < 3 ? x0 : (i) < 6 ? x3 : (i) < 9 ? x6 : x9) + (i) % 3 * stride)

#define STEP_ROW(i)                                                                                \
    if (rows > (i)) {                                                                              \
        const VECTOR x = BROADCAST(ROW_AT(i) + at);                                                \
        s##i##_0 = STEP(s##i##_0, x, w0);                                                          \
        s##i##_1 = vectors > 1 ? STEP(s##i##_1, x, w1) : s##i##_1;                                 \
        s##i##_2 = vectors > 2 ? STEP(s##i##_2, x, w2) : s##i##_2;                                 \
        s##i##_3 = vectors > 2 ? STEP(s##i##_3, x, w3) : s##i##_3;                                 \
    }

#define STEP_ROWS(quad, offset, CODES)                                                             \
    {                                                                                              \
        const size_t at = QUAD_X * (quad) + (offset);                                              \
        const int8_t *v = w + (size_t)4 * BRIM_GEMM_PANEL * (quad);                                \
        const VECTOR w0 = CODES(LOAD(v)), w1 = vectors > 1 ? CODES(LOAD(v + next)) : w0;           \
        const VECTOR w2 = vectors > 2 ? CODES(LOAD(v + 2 * next)) : w0;                            \
        const VECTOR w3 = vectors > 2 ? CODES(LOAD(v + 3 * next)) : w0;                            \
                                                                                                   \
        EACH_ROW(STEP_ROW)                                                                         \
        __asm__ volatile("" ::: "memory"); /* the next loads stay behind */                        \
    }

#ifdef EVEN
#    define QUAD_X     8   /* bytes of x */
#    define PART_QUADS 64u /* of x on the stack */
#    define QUAD(quad) STEP_ROWS(quad, 0, EVEN) STEP_ROWS(quad, 4, ODD)
#else
#    define QUAD_X     4
#    define PART_QUADS UINT32_MAX
#    define SAME(w)    (w)
#    define QUAD(quad) STEP_ROWS(quad, 0, SAME)
#endif

/* x of the next tile, if its rows lie one after another; and half of the weights to come, into L2. */
#define FETCH(quads)                                                                               \
    for (size_t i = 0; i < (quads) / 2; i++) {                                                     \
        __builtin_prefetch(ahead);                                                                 \
        if (rows > 8) { /* more than a line for two quads */                                       \
            __builtin_prefetch(ahead + 64);                                                        \
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

#ifdef WIDEN
#    define TOTAL(sum) WIDEN(sum)
#else
#    define TOTAL(sum) (sum)
#endif

#define PUT(i, j)                                                                                  \
    if (vectors > (j)) {                                                                           \
        int32_t *to = y + (j) * (sizeof(VECTOR) / 4);                                              \
        STORE(to, add ? ADD(LOAD(to), TOTAL(s##i##_##j)) : TOTAL(s##i##_##j));                     \
        s##i##_##j = ZERO();                                                                       \
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
        int32_t *y = t->y;                                                                         \
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

static inline __attribute__((always_inline)) void
PASTE(TILE, _rows)(const struct brim_gemm_tile *t, const unsigned rows, const unsigned vectors)
{
    const size_t next = PANEL_VECTORS == 1 ? t->w_stride : sizeof(VECTOR);
    const int8_t *w = t->w;
    const int8_t *to_come = t->next != NULL ? t->next : w;
    bool add = t->add;
#ifdef EVEN
    uint32_t split[ROWS][2 * PART_QUADS];
    const size_t stride = sizeof split[0];
#else
    const size_t stride = t->x_stride;
#endif

    EACH_ROW(SUMS)
    for (size_t s = 0; s < t->spans; s++) {
        const uint32_t quads = t->span[s].quads;

        for (uint32_t done = 0, part; done < quads; done += part) {
            const uint8_t *x0 = t->x + t->span[s].x + 4 * (size_t)done;

            part = quads - done < PART_QUADS ? quads - done : PART_QUADS;
#ifdef EVEN
            PASTE(TILE, _split)(x0, t->x_stride, part, rows, split);
            x0 = (const uint8_t *)split;
#endif
            const uint8_t *x3 = rows > 3 ? x0 + 3 * stride : x0;
            const uint8_t *x6 = rows > 6 ? x3 + 3 * stride : x0;
            const uint8_t *x9 = rows > 9 ? x6 + 3 * stride : x0;
            const uint8_t *ahead = t->x + t->span[s].x + rows * (t->x_stride + 4 * (size_t)done);
            const size_t ahead_step = t->x_stride >= 4 * (size_t)quads ? 4 * rows : 0;
            uint32_t q = part;

            for (; q >= UNROLL; q -= UNROLL) {
                QUAD(0)
                QUAD(1)
#if UNROLL == 4
                QUAD(2)
                QUAD(3)
#endif
                FETCH(UNROLL)
                ADVANCE(UNROLL)
            }
#pragma GCC unroll 1
            for (; q > 0; q--) {
                QUAD(0)
                ADVANCE(1)
            }
        }
#ifdef WIDEN
        if (t->span[s].widen) {
            PUT_ROWS
            add = true;
        }
#endif
    }
#ifndef WIDEN
    PUT_ROWS
#endif
}

/* A function for every height: what its registers hold can be followed. */
#define HEIGHT(i)                                                                                  \
    static __attribute__((noinline)) void PASTE(TILE, _##i)(const struct brim_gemm_tile *t)        \
    {                                                                                              \
        if (ROWS > (i) && t->panels * PANEL_VECTORS < VECTORS) {                                   \
            PASTE(TILE, _rows)(t, (i) + 1, PANEL_VECTORS);                                         \
        } else if (ROWS > (i)) {                                                                   \
            PASTE(TILE, _rows)(t, (i) + 1, VECTORS);                                               \
        }                                                                                          \
    }

EACH_ROW(HEIGHT) /* NOLINT(bugprone-branch-clone): of one panel, the same */

#define CASE(i)                                                                                    \
    case (i) + 1:                                                                                  \
        PASTE(TILE, _##i)(&part);                                                                  \
        break;

static size_t PASTE(TILE, _quads)(const struct brim_gemm_tile *t)
{
    size_t quads = 0;

    for (size_t s = 0; s < t->spans; s++) {
        quads += t->span[s].quads;
    }
    return quads;
}

/* Many rows, in parts of nearly equal height: what a caller does for a tile costs as much as 10 or
 * 20 quads. The first two parts fetch half of the weights to come each. */
static void TILE(const struct brim_gemm_tile *t)
{
    const unsigned parts = (t->rows + ROWS - 1) / ROWS, even = t->rows / parts;
    const unsigned higher = t->rows % parts;
    struct brim_gemm_tile part = *t;

    for (unsigned i = 0; i < parts; i++) {
        part.rows = even + (i < higher);
        switch (part.rows) {
            EACH_ROW(CASE)
        default:
            break;
        }
        part.x += part.rows * part.x_stride;
        part.y += part.rows * part.y_stride;
        part.next = i == 0 && t->next != NULL ? t->next + 32 * PASTE(TILE, _quads)(t) : NULL;
    }
}

#undef EACH_ROW
#undef SUMS
#undef ROW_AT
#undef STEP_ROW
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
#undef HEIGHT
#undef CASE
#undef TILE
#undef STEP
#undef WIDEN
#undef EVEN
#undef ODD
