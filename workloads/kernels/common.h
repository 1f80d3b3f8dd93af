/* What every kernel shares. A kernel is one hot loop for the engine's benches: freestanding, no
 * imports, exporting `run(rounds)`, which does that many rounds of work and returns a checksum.
 * The checksum depends on all of the work, so no compiler can drop any of it, and on nothing else. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define KERNEL(name) __attribute__((export_name("run"))) uint32_t run(uint32_t name)

/* Keeps a loop or a call as it is written, where the shape of the code is what is measured. */
#define NOINLINE __attribute__((noinline))
#define KEEP_LOOP _Pragma("clang loop unroll(disable) vectorize(disable)")

/* A value that the optimiser must take for unknown. */
static inline uint32_t opaque(uint32_t value) {
    volatile uint32_t hidden = value;
    return hidden;
}

static inline uint32_t xorshift(uint32_t *state) {
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}
