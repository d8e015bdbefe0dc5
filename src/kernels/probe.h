/* probe.h - what this processor's multipliers and adders can do at most. SPDX-License-Identifier:
 * Apache-2.0
 *
 * A probe repeats the instructions of one inner loop on twelve independent registers, without
 * memory: no kernel built from them can be faster. They are assembly, so that neither a compiler's
 * fusions nor its spills can change what is measured. A chain of dependent additions, one a cycle,
 * gives the clock of the same moment.
 */
#ifndef BRIM_KERNELS_PROBE_H
#define BRIM_KERNELS_PROBE_H

#include <stddef.h>
#include <stdint.h>

struct brim_probe {
    const char *name; /* "avx2-16" */
    const char *what; /* its instructions */
    uint32_t isa;     /* enum brim_isa */
    unsigned macs;    /* multiply-accumulates (lookups, for tables) of one round */
    void (*run)(uint64_t rounds);
};

/* Empty on processors that no probe is written for. */
extern const struct brim_probe brim_probes[];
extern const size_t brim_probe_count;

#define BRIM_PROBE_CHAIN 64
/* Takes BRIM_PROBE_CHAIN cycles a round. */
void brim_probe_chain(uint64_t rounds);

#endif
