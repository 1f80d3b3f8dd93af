/* Branches and pointers: quicksort with the comparison behind a function pointer, then a chained
 * hash table filled and queried with the sorted keys. */
#include "common.h"

enum { KEYS = 20000, BUCKET_BITS = 15, BUCKETS = 1 << BUCKET_BITS };

typedef int (*ordering)(uint32_t, uint32_t);

static int ascending(uint32_t x, uint32_t y) { return x < y; }
static int descending(uint32_t x, uint32_t y) { return x > y; }

static const ordering orderings[] = {ascending, descending};

typedef struct entry {
    uint32_t key, value;
    struct entry *next;
} entry;

static uint32_t keys[KEYS];
static entry entries[KEYS];
static entry *buckets[BUCKETS];

/* Recurses into the smaller part only, so the depth stays logarithmic. */
static void sort(uint32_t *v, int low, int high, ordering before) {
    while (low < high) {
        uint32_t pivot = v[low + (high - low) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (before(v[i], pivot))
                i++;
            while (before(pivot, v[j]))
                j--;
            if (i <= j) {
                uint32_t swapped = v[i];
                v[i++] = v[j];
                v[j--] = swapped;
            }
        }
        if (j - low < high - i) {
            sort(v, low, j, before);
            low = i;
        } else {
            sort(v, i, high, before);
            high = j;
        }
    }
}

static entry **bucket(uint32_t key) {
    return &buckets[key * 2654435761u >> (32 - BUCKET_BITS)];
}

NOINLINE static void insert(entry *slot, uint32_t key, uint32_t value) {
    entry **head = bucket(key);
    *slot = (entry){key, value, *head};
    *head = slot;
}

NOINLINE static const entry *find(uint32_t key) {
    const entry *e = *bucket(key);
    while (e && e->key != key)
        e = e->next;
    return e;
}

KERNEL(rounds) {
    uint32_t sum = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        uint32_t seed = 12345 + round;
        for (int i = 0; i < KEYS; i++)
            keys[i] = xorshift(&seed);
        sort(keys, 0, KEYS - 1, orderings[round % 2]);
        sum ^= keys[KEYS / 3];

        for (int i = 0; i < BUCKETS; i++)
            buckets[i] = NULL;
        for (int i = 0; i < KEYS; i++)
            insert(&entries[i], keys[i], (uint32_t)i);

        /* The first half of these are the keys again, the second half are not in the table. */
        seed = 12345 + round;
        for (int i = 0; i < 2 * KEYS; i++) {
            const entry *found = find(xorshift(&seed));
            if (found)
                sum += found->value;
        }
    }
    return sum;
}
