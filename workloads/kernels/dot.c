/* The tightest loop there is: a dot product, three loads and arithmetic instructions per iteration. */
#include "common.h"

enum { LENGTH = 4096 };

static float left[LENGTH], right[LENGTH];

NOINLINE static float dot(const float *a, const float *b, uint32_t length) {
    float sum = 0;
    KEEP_LOOP
    for (uint32_t i = 0; i < length; i++)
        sum += a[i] * b[i];
    return sum;
}

KERNEL(rounds) {
    for (uint32_t i = 0; i < LENGTH; i++) {
        left[i] = (float)(i % 7) / 8.0f;
        right[i] = (float)(i % 11) / 16.0f;
    }
    uint32_t sum = 0, length = opaque(LENGTH);
    for (uint32_t round = 0; round < rounds; round++) {
        left[round % LENGTH] += 0.125f;
        sum = sum * 31 + (uint32_t)dot(left, right, length);
    }
    return sum;
}
