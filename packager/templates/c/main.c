// Counts primes. Nothing here knows of checkpoints: the program can be stopped anywhere in
// its loops and goes on elsewhere.
#include <stdio.h>
#include <stdlib.h>

static int is_prime(unsigned n) {
    if (n < 2) return 0;
    for (unsigned d = 2; d <= n / d; d++)
        if (n % d == 0) return 0;
    return 1;
}

int main(int argc, char **argv) {
    unsigned limit = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;
    unsigned step = limit / 10 ? limit / 10 : 1, count = 0;
    for (unsigned n = 1; n <= limit; n++) {
        count += is_prime(n);
        if (n % step == 0) {
            printf("%u primes up to %u\n", count, n);
            fflush(stdout);
        }
    }
    return 0;
}
