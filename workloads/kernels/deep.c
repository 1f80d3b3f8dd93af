/* A deep stack: each frame keeps values of four types alive across its call. */
#include "common.h"

enum { DEPTH = 4096 };

NOINLINE static uint32_t descend(uint32_t depth, uint32_t a, uint64_t b, double c) {
    if (depth == 0)
        return (uint32_t)c;
    uint32_t below = descend(depth - 1, a * 3 + 1, b + a, c + 1.0);
    return (below ^ a) * 31 + (uint32_t)b + (uint32_t)c;
}

KERNEL(rounds) {
    uint32_t sum = 0;
    for (uint32_t round = 0; round < rounds; round++)
        sum = sum * 31 + descend(DEPTH, round, sum, 3.0);
    return sum;
}
