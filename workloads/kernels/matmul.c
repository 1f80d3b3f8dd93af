/* Floating point over arrays: the textbook matrix product. Built twice: as scalar code, and with
 * simd128, where clang vectorises the inner loop. */
#include "common.h"

enum { SIDE = 128 };

static float a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];

NOINLINE static void multiply(uint32_t side) {
    for (uint32_t row = 0; row < side; row++) {
        for (uint32_t column = 0; column < side; column++)
            c[row][column] = 0;
        for (uint32_t k = 0; k < side; k++)
            for (uint32_t column = 0; column < side; column++)
                c[row][column] += a[row][k] * b[k][column];
    }
}

KERNEL(rounds) {
    for (int row = 0; row < SIDE; row++)
        for (int column = 0; column < SIDE; column++) {
            a[row][column] = (float)(row * 7 + column) / 97.0f;
            b[row][column] = (float)(row - column * 3) / 53.0f;
        }
    uint32_t sum = 0, side = opaque(SIDE);
    for (uint32_t round = 0; round < rounds; round++) {
        a[round % SIDE][0] += 0.5f;
        multiply(side);
        sum = sum * 31 + (uint32_t)(int64_t)(c[round % SIDE][round * 5 % SIDE] * 16.0f);
    }
    return sum;
}
