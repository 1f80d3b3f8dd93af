/* A mix like CoreMark's: a linked list searched and merge-sorted through function pointers, a small
 * integer matrix, a state machine over text; a CRC of every part's result feeds the next. */
#include "common.h"

enum { ITEMS = 100, LOOKUPS = 30, SIDE = 12, TEXT = 512 };

/* CRC-16/ARC, bit by bit: the loop is the point. */
NOINLINE static uint16_t crc16(uint16_t value, uint16_t crc) {
    crc ^= value;
    for (int bit = 0; bit < 16; bit++)
        crc = crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1;
    return crc;
}

/* --- List -------------------------------------------------------------------------------------- */

typedef struct item {
    struct item *next;
    uint16_t index, data;
} item;

typedef int (*ordering)(const item *, const item *);

static item items[ITEMS];

static int by_index(const item *a, const item *b) { return a->index - b->index; }
static int by_scrambled_data(const item *a, const item *b) {
    return crc16(a->data, 0) - crc16(b->data, 0);
}

static item *make_list(void) {
    for (int i = 0; i < ITEMS; i++)
        items[i] = (item){i + 1 < ITEMS ? &items[i + 1] : NULL, (uint16_t)(i * 53 % ITEMS), (uint16_t)(i * 37)};
    return items;
}

NOINLINE static const item *find(const item *list, uint16_t index) {
    while (list && list->index != index)
        list = list->next;
    return list;
}

NOINLINE static item *reverse(item *list) {
    item *reversed = NULL;
    while (list) {
        item *next = list->next;
        list->next = reversed;
        reversed = list;
        list = next;
    }
    return reversed;
}

static item *merge(item *a, item *b, ordering order) {
    item *merged, **tail = &merged;
    while (a && b) {
        item **smaller = order(a, b) <= 0 ? &a : &b;
        *tail = *smaller;
        tail = &(*tail)->next;
        *smaller = *tail;
    }
    *tail = a ? a : b;
    return merged;
}

NOINLINE static item *sort(item *list, int length, ordering order) {
    if (length <= 1)
        return list;
    item *last = list;
    for (int i = 1; i < length / 2; i++)
        last = last->next;
    item *second = last->next;
    last->next = NULL;
    return merge(sort(list, length / 2, order), sort(second, length - length / 2, order), order);
}

static uint16_t list_round(item **list, uint32_t round, uint16_t crc) {
    for (uint32_t i = 0; i < LOOKUPS; i++) {
        const item *found = find(*list, (uint16_t)((i * 7 + round) % (ITEMS + 10)));
        crc = crc16(found ? found->data : 0xffff, crc);
        *list = reverse(*list);
    }
    (*list)->data ^= crc;
    *list = sort(*list, ITEMS, by_scrambled_data);
    crc = crc16((*list)->data, crc);
    *list = sort(*list, ITEMS, by_index);
    return crc16((*list)->data, crc);
}

/* --- Matrix ------------------------------------------------------------------------------------ */

static int16_t a[SIDE][SIDE], b[SIDE][SIDE];

static void make_matrices(void) {
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            a[i][j] = (int16_t)(i * 5 + j);
            b[i][j] = (int16_t)(j * 3 - i);
        }
}

/* Counts where the product of the matrices, read in order, rises. */
NOINLINE static uint16_t matrix_round(int side, int16_t offset, uint16_t crc) {
    int32_t previous = 0;
    uint16_t rises = 0;
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            int32_t sum = 0;
            for (int k = 0; k < side; k++)
                sum += (a[i][k] + offset) * b[k][j];
            rises += sum > previous;
            previous = sum;
        }
    return crc16(rises, crc);
}

/* --- State machine ----------------------------------------------------------------------------- */

typedef enum { START, SIGN, INTEGER, FRACTION, EXPONENT, EXPONENT_SIGN, EXPONENT_DIGITS, INVALID, STATES } state;

static char text[TEXT];

static void make_text(void) {
    static const char numbers[] = "5012,-874,35.54400,+.1234500,5.500e+3,-.123e-2,-87e+832,T0.3e-1F,1T3.4e4z,";
    for (int i = 0; i < TEXT - 1; i++)
        text[i] = numbers[i % (sizeof numbers - 1)];
}

static state next_state(state from, char c) {
    int digit = c >= '0' && c <= '9', sign = c == '+' || c == '-';
    switch (from) {
    case START: return digit ? INTEGER : sign ? SIGN : c == '.' ? FRACTION : INVALID;
    case SIGN: return digit ? INTEGER : c == '.' ? FRACTION : INVALID;
    case INTEGER: return digit ? INTEGER : c == '.' ? FRACTION : c == 'e' ? EXPONENT : INVALID;
    case FRACTION: return digit ? FRACTION : c == 'e' ? EXPONENT : INVALID;
    case EXPONENT: return sign ? EXPONENT_SIGN : INVALID;
    case EXPONENT_SIGN:
    case EXPONENT_DIGITS: return digit ? EXPONENT_DIGITS : INVALID;
    default: return INVALID;
    }
}

/* Classifies the numbers in the text, of which `offset` characters are skipped. */
NOINLINE static uint16_t text_round(uint32_t offset, uint16_t crc) {
    uint16_t ended_in[STATES] = {0};
    state now = START;
    for (const char *c = text + offset; *c; c++) {
        if (*c == ',') {
            ended_in[now]++;
            now = START;
        } else {
            now = next_state(now, *c);
        }
    }
    for (int i = 0; i < STATES; i++)
        crc = crc16(ended_in[i], crc);
    return crc;
}

KERNEL(rounds) {
    item *list = make_list();
    make_matrices();
    make_text();
    int side = (int)opaque(SIDE);
    uint16_t crc = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        crc = list_round(&list, round, crc);
        crc = matrix_round(side, (int16_t)(round % 16), crc);
        crc = text_round(round % 16, crc);
    }
    return crc;
}
