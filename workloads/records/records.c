// A table of records that do not compress, changed in places: for every line of its input, one page in
// a hundred is written anew.
//
// Usage: records [MIB]

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAGE = 64 << 10, WORDS = PAGE / sizeof(uint64_t) };

static uint64_t state = 88172645463325252;

static uint64_t noise(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void write_page(uint64_t *page) {
    for (int i = 0; i < WORDS; i++) page[i] = noise();
}

static uint64_t sum(const uint64_t *table, size_t pages) {
    uint64_t sum = 0;
    for (size_t i = 0; i < pages * WORDS; i++) sum = sum * 31 + table[i];
    return sum;
}

int main(int argc, char **argv) {
    size_t pages = (argc > 1 ? strtoul(argv[1], NULL, 10) : 4) * 16;
    uint64_t *table = aligned_alloc(PAGE, pages * PAGE);
    if (!table || !pages) return 1;
    for (size_t page = 0; page < pages; page++) write_page(table + page * WORDS);
    setvbuf(stdout, NULL, _IONBF, 0);
    printf("filled %zu pages\n", pages);
    for (int c; (c = getchar()) != EOF;) {
        if (c != '\n') continue;
        size_t changed = 0;
        for (size_t page = 0; page < pages; page += 100, changed++) write_page(table + page * WORDS);
        printf("changed %zu pages\n", changed);
    }
    printf("%016llx\n", (unsigned long long)sum(table, pages));
}
