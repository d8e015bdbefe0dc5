/* checkasm.c - see checkasm.h. SPDX-License-Identifier: Apache-2.0
 *
 *     checkasm [--family F] [--variant V] [--seed S] [--count N] [--list] [--no-guard]
 *
 * --no-guard lets the pages around buffers be touched: for emulators that read what a mask hides.
 * Case i of a run has seed S + i * STEP, so a failing case is case 0 of the run that starts there.
 * Exit code 77: the level that BRIM_CPU asks for is not on this machine.
 */
#include "checkasm.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"

#if defined(__unix__) && !defined(__EMSCRIPTEN__)
#    define PAGES 1
#    include <signal.h>
#    include <sys/mman.h>
#    include <unistd.h>
#else
#    define PAGES 0
#endif

#define STEP     UINT64_C(0x9e3779b97f4a7c15)
#define SEED     UINT64_C(0x6272696d)
#define BUFFERS  24
#define ZONE     256 /* bytes on either side that must not change */
#define DISTANCE 4096

#define ADDRESS(name) &check_##name,
static const struct check_family *const families[] = {CHECK_FAMILIES(ADDRESS)};
#define FAMILIES (sizeof families / sizeof *families)

/* Memory is kept from case to case and grows. */
static struct buffer {
    const char *name;
    uint8_t *map, *data, *zone_begin, *zone_end;
    size_t capacity, bytes;
    bool sealed;
} buffers[BUFFERS];
static size_t used;
static bool guard = true;

static struct {
    const char *family, *variant, *program;
    uint64_t seed;
    char text[512];
    char report[2048]; /* made before the case runs: a signal handler may not format */
} now;

/* ---- reports ---- */

static void make_report(void)
{
    snprintf(now.report, sizeof now.report,
             "  case    %s %s: %s\n  again   %s%s%s --family %s --variant %s --seed 0x%" PRIx64
             " --count 1%s\n",
             now.family, now.variant, now.text, getenv("BRIM_CPU") != NULL ? "BRIM_CPU=" : "",
             getenv("BRIM_CPU") != NULL ? getenv("BRIM_CPU") : "",
             getenv("BRIM_CPU") != NULL ? " checkasm" : now.program, now.family, now.variant,
             now.seed, guard ? "" : " --no-guard");
}

void check_describe(struct check *c, const char *fmt, ...)
{
    va_list ap;

    (void)c;
    va_start(ap, fmt);
    vsnprintf(now.text, sizeof now.text, fmt, ap);
    va_end(ap);
    make_report();
}

void check_fail(struct check *c, const char *fmt, ...)
{
    va_list ap;

    (void)c;
    va_start(ap, fmt);
    printf("FAILED: ");
    vprintf(fmt, ap);
    printf("\n%s", now.report);
    va_end(ap);
    exit(1);
}

#if PAGES

static void say(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0) {
        _exit(1);
    }
}

static void say_number(size_t n)
{
    char digits[24];
    size_t i = sizeof digits - 1;

    digits[i] = '\0';
    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    say(digits + i);
}

static void say_distance(size_t n, const char *where, const char *name)
{
    say_number(n);
    say(where);
    say(name);
}

/* Which buffer the address is near, and how far out. */
static void say_place(uintptr_t at)
{
    for (size_t i = 0; i < used; i++) {
        const struct buffer *b = &buffers[i];
        const uintptr_t first = (uintptr_t)b->data, end = first + b->bytes;

        if (at >= end && at - end < DISTANCE) {
            say_distance(at - end, " bytes behind the end of ", b->name);
        } else if (at < first && first - at <= DISTANCE) {
            say_distance(first - at, " bytes before ", b->name);
        } else if (at >= first && at < end) {
            say_distance(at - first, b->sealed ? " bytes into read-only " : " bytes into ",
                         b->name);
        }
    }
}

static void crashed(int number, siginfo_t *info, void *context)
{
    (void)context;
    say("FAILED: ");
    say(number == SIGILL   ? "an instruction that this CPU lacks"
        : number == SIGFPE ? "division by zero"
                           : "touches memory that is not its own: ");
    if (number == SIGSEGV || number == SIGBUS) {
        say_place((uintptr_t)info->si_addr);
    }
    say("\n");
    say(now.report);
    _exit(1);
}

static void watch(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_sigaction = crashed;
    action.sa_flags = SA_SIGINFO;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        sigaction(numbers[i], &action, NULL);
    }
}

#else

static void watch(void) {}

#endif

/* ---- guarded memory ---- */

#if PAGES

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static void grow(struct check *c, struct buffer *b, size_t bytes)
{
    const size_t page = page_bytes();

    if (b->map != NULL) {
        munmap(b->map, b->capacity + 2 * page);
    }
    b->capacity = (bytes + 2 * page - 1) / page * page;
    b->map = mmap(NULL, b->capacity + 2 * page, guard ? PROT_NONE : PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->map == MAP_FAILED || mprotect(b->map + page, b->capacity, PROT_READ | PROT_WRITE) != 0) {
        check_fail(c, "no memory for %zu bytes", bytes);
    }
}

static uint8_t *first_byte(const struct buffer *b)
{
    return b->map + page_bytes();
}

static void protect(const struct buffer *b, int protection)
{
    mprotect(first_byte(b), b->capacity, protection);
}

void check_seal(struct check *c, const void *buffer)
{
    for (size_t i = 0; i < used; i++) {
        if (buffers[i].data == buffer) {
            buffers[i].sealed = true;
            protect(&buffers[i], PROT_READ);
            return;
        }
    }
    check_fail(c, "no such buffer");
}

static void unseal(struct buffer *b)
{
    if (b->sealed) {
        protect(b, PROT_READ | PROT_WRITE);
        b->sealed = false;
    }
}

#else

static void grow(struct check *c, struct buffer *b, size_t bytes)
{
    free(b->map);
    b->capacity = bytes + 2 * DISTANCE;
    b->map = malloc(b->capacity);
    if (b->map == NULL) {
        check_fail(c, "no memory for %zu bytes", bytes);
    }
}

static uint8_t *first_byte(const struct buffer *b)
{
    return b->map;
}

void check_seal(struct check *c, const void *buffer)
{
    (void)c;
    (void)buffer;
}

static void unseal(struct buffer *b)
{
    (void)b;
}

#endif

/* Where in b's memory `bytes` bytes go: mostly against one of its ends. */
static uint8_t *place(struct check *c, const struct buffer *b, size_t bytes, size_t align)
{
    uint8_t *const first = first_byte(b);
    const size_t room = b->capacity - bytes;
    const uint64_t dice = brim_rng_below(&c->rng, 4);
    const size_t from = PAGES ? (dice < 2 ? room : dice == 2 ? 0 : room / 2 + 1) : room / 2 + 1;

    return first + (from - (uintptr_t)(first + from) % align);
}

static uint8_t zone_byte(const uint8_t *at)
{
    return (uint8_t)((uintptr_t)at * 151 + 77);
}

void *check_buffer(struct check *c, const char *name, size_t bytes, size_t align)
{
    if (used == BUFFERS) {
        check_fail(c, "more than %d buffers", BUFFERS);
    }
    struct buffer *b = &buffers[used++];

    if (b->map == NULL || b->capacity < bytes + 2 * align + 2) {
        grow(c, b, bytes + 2 * align + 2);
    }
    uint8_t *const first = first_byte(b), *const last = first + b->capacity;
    b->name = name;
    b->bytes = bytes;
    b->data = place(c, b, bytes, align);
    b->zone_begin = b->data - first > ZONE ? b->data - ZONE : first;
    b->zone_end = last - (b->data + bytes) > ZONE ? b->data + bytes + ZONE : last;
    for (uint8_t *at = b->zone_begin; at < b->zone_end; at++) {
        *at = zone_byte(at);
    }
    uint64_t noise = brim_rng_u64(&c->rng);
    for (size_t i = 0; i < bytes; i++) {
        noise = noise * UINT64_C(6364136223846793005) + 1442695040888963407;
        b->data[i] = (uint8_t)(noise >> 56);
    }
    return b->data;
}

static void check_zones(struct check *c)
{
    for (size_t i = 0; i < used; i++) {
        const struct buffer *b = &buffers[i];

        for (const uint8_t *at = b->zone_begin; at < b->zone_end; at++) {
            if (at == b->data) {
                at += b->bytes;
                if (at == b->zone_end) {
                    break;
                }
            }
            if (*at != zone_byte(at)) {
                check_fail(c, "writes %td bytes %s %s", at < b->data ? b->data - at : at - b->data,
                           at < b->data ? "before" : "behind the start of", b->name);
            }
        }
    }
}

static const struct buffer *buffer_at(const void *data)
{
    for (size_t i = 0; i < used; i++) {
        if (buffers[i].data == data) {
            return &buffers[i];
        }
    }
    return NULL;
}

void check_same(struct check *c, const void *got, const void *want, size_t size, size_t stride)
{
    const struct buffer *g = buffer_at(got), *w = buffer_at(want);

    if (g == NULL || w == NULL || g->bytes != w->bytes) {
        check_fail(c, "compares what is not two buffers of one size");
    }
    if (memcmp(g->data, w->data, g->bytes) == 0) {
        return;
    }
    size_t i = 0;
    while (memcmp(g->data + i * size, w->data + i * size, size) == 0) {
        i++;
    }
    int64_t a = 0, b = 0;
    for (size_t j = size; j-- > 0;) { /* little-endian, as every machine that has kernels */
        a = a * 256 + g->data[i * size + j];
        b = b * 256 + w->data[i * size + j];
    }
    check_fail(c, "%s: row %zu column %zu is 0x%" PRIx64 ", expected 0x%" PRIx64, g->name,
               i / stride, i % stride, (uint64_t)a, (uint64_t)b);
}

/* ---- data ---- */

int64_t check_range(struct check *c, int64_t lo, int64_t hi)
{
    return brim_rng_range(&c->rng, lo, hi);
}

bool check_once_in(struct check *c, uint64_t n)
{
    return brim_rng_below(&c->rng, n) == 0;
}

size_t check_length(struct check *c, size_t unit, size_t max)
{
    const int64_t top = (int64_t)(max / unit);
    const int64_t few = top < 4 ? top : 4;
    int64_t length = check_range(c, 0, check_once_in(c, 3) ? top : few) * (int64_t)unit;

    length += check_once_in(c, 4)   ? 0
              : check_once_in(c, 2) ? check_range(c, -2, 2)
                                    : check_range(c, 0, (int64_t)unit - 1);
    return length < 1 ? 1 : length > (int64_t)max ? max : (size_t)length;
}

const char *const check_pattern_name[CHECK_PATTERNS] = {[CHECK_RANDOM] = "random",
                                                        [CHECK_LEAST] = "least",
                                                        [CHECK_GREATEST] = "greatest",
                                                        [CHECK_ALTERNATING] = "alternating",
                                                        [CHECK_CORNERS] = "least-or-greatest",
                                                        [CHECK_FEW] = "few"};

enum check_pattern check_any_pattern(struct check *c)
{
    return check_once_in(c, 3) ? CHECK_RANDOM
                               : (enum check_pattern)brim_rng_below(&c->rng, CHECK_PATTERNS);
}

void check_fill(struct check *c, enum check_pattern p, int32_t *x, size_t n, int32_t lo, int32_t hi)
{
    static const size_t runs[] = {1, 2, 4, 64};
    const size_t run = runs[brim_rng_below(&c->rng, 4)];
    const int32_t zero = lo > 0 ? lo : hi < 0 ? hi : 0;

    for (size_t i = 0; i < n; i++) {
        switch (p) {
        case CHECK_LEAST:
            x[i] = lo;
            break;
        case CHECK_GREATEST:
            x[i] = hi;
            break;
        case CHECK_ALTERNATING:
            x[i] = i / run % 2 == 0 ? hi : lo;
            break;
        case CHECK_CORNERS:
            x[i] = check_once_in(c, 2) ? hi : lo;
            break;
        case CHECK_FEW:
            x[i] = check_once_in(c, 16) ? (int32_t)check_range(c, lo, hi) : zero;
            break;
        case CHECK_RANDOM:
        case CHECK_PATTERNS:
            x[i] = (int32_t)check_range(c, lo, hi);
            break;
        }
    }
}

/* ---- the program ---- */

struct options {
    const char *family, *variant;
    uint64_t seed, count;
    bool list;
};

static void check_case(struct check *c, const struct check_family *f, size_t variant, uint64_t seed)
{
    now.family = f->name;
    now.variant = f->variant(variant).name;
    now.seed = seed;
    used = 0;
    check_describe(c, "before it is known");
    brim_rng_init(&c->rng, seed, 0);
    f->run(c, variant);
    for (size_t i = 0; i < used; i++) {
        unseal(&buffers[i]);
    }
    check_zones(c);
}

/* Variants checked. */
static size_t check_a_family(struct check *c, const struct check_family *f, const struct options *o)
{
    size_t variants = 0;
    uint64_t cases = 0;

    if (o->family != NULL && strcmp(o->family, f->name) != 0) {
        return 0;
    }
    for (size_t i = 0; i < f->count(); i++) {
        const struct check_variant v = f->variant(i);
        const bool present = (v.isa & c->ctx->isa) == v.isa;

        if (o->variant != NULL && strcmp(o->variant, v.name) != 0) {
            continue;
        }
        if (o->list) {
            printf("%-10s %-16s %s\n", f->name, v.name, present ? "yes" : "not on this CPU");
        }
        if (o->list || !present) {
            continue;
        }
        variants++;
        for (uint64_t n = 0; n < (o->count > 0 ? o->count : f->cases); n++, cases++) {
            check_case(c, f, i, o->seed + n * STEP);
        }
    }
    if (!o->list) {
        printf("%-10s %zu variants, %" PRIu64 " cases\n", f->name, variants, cases);
        fflush(stdout);
    }
    return variants;
}

static int usage(void)
{
    fprintf(stderr, "usage: checkasm [--family F] [--variant V] [--seed S] [--count N] [--list] "
                    "[--no-guard]\n");
    return 2;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    *o = (struct options){.seed = SEED};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        char *end = "";

        if (strcmp(argv[i], "--list") == 0) {
            o->list = true;
            continue;
        }
        if (strcmp(argv[i], "--no-guard") == 0) {
            guard = false;
            continue;
        }
        if (value == NULL) {
            return false;
        }
        if (strcmp(argv[i], "--family") == 0) {
            o->family = value;
        } else if (strcmp(argv[i], "--variant") == 0) {
            o->variant = value;
        } else if (strcmp(argv[i], "--seed") == 0) {
            o->seed = strtoull(value, &end, 0);
        } else if (strcmp(argv[i], "--count") == 0) {
            o->count = strtoull(value, &end, 0);
        } else {
            return false;
        }
        if (*end != '\0') {
            return false;
        }
        i++;
    }
    return true;
}

/* BRIM_CPU names a level that this machine lacks: 77; none at all: 1. */
static int no_context(void)
{
    const char *name = getenv("BRIM_CPU");

    for (size_t i = 0; i < brim_cpu_level_count(); i++) {
        if (name != NULL && strcmp(brim_cpu_level_at(i).name, name) == 0) {
            printf("skipped: this machine lacks %s\n", name);
            return 77;
        }
    }
    printf("FAILED: no level is named %s\n", name != NULL ? name : "");
    return 1;
}

int main(int argc, char **argv)
{
    struct options o;
    struct check c = {0};
    size_t variants = 0;

    if (!read_options(argc, argv, &o)) {
        return usage();
    }
    if (brim_ctx_create(NULL, &c.ctx) != BRIM_OK) {
        return no_context();
    }
    now.program = argv[0];
    watch();
    for (size_t i = 0; i < FAMILIES; i++) {
        variants += check_a_family(&c, families[i], &o);
    }
    brim_ctx_free(c.ctx);
    if (variants == 0 && !o.list) {
        printf("FAILED: nothing to check\n");
        return 1;
    }
    return 0;
}
