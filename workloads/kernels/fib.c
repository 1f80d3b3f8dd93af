/* Calls: naive Fibonacci, almost nothing but prologues, epilogues and calls. */
#include "common.h"

NOINLINE static uint32_t fib(uint32_t n) {
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

KERNEL(rounds) {
    uint32_t sum = 0;
    for (uint32_t round = 0; round < rounds; round++)
        sum += fib(17 + round % 4) ^ sum;
    return sum;
}
