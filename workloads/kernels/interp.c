/* Unpredictable dispatch: an interpreter for a small stack machine, one `br_table` per instruction. */
#include "common.h"

enum { PUSH, LOAD, STORE, ADD, MUL, LESS, JUMP, JUMP_IF_ZERO, XOR, SHIFT, AND, DUP, PEEK, POKE, HALT };
enum { I, X, LIMIT, VARIABLES };
enum { CELLS = 256, ITERATIONS_PER_ROUND = 1000 };
enum { LOOP = 8, END = 51 };

/* i = 0; x = 1; while (i < limit) { x = (x * 1103515245 + 12345) ^ (x >> 16);
 * cells[x & 255] = cells[x & 255] + i; i = i + 1; } */
static const uint32_t program[] = {
    PUSH, 0, STORE, I, PUSH, 1, STORE, X,
    /* LOOP */ LOAD, I, LOAD, LIMIT, LESS, JUMP_IF_ZERO, END,
    LOAD, X, PUSH, 1103515245, MUL, PUSH, 12345, ADD, LOAD, X, PUSH, 16, SHIFT, XOR, STORE, X,
    LOAD, X, PUSH, CELLS - 1, AND, DUP, PEEK, LOAD, I, ADD, POKE,
    LOAD, I, PUSH, 1, ADD, STORE, I, JUMP, LOOP,
    /* END */ HALT,
};
_Static_assert(sizeof program / sizeof program[0] == END + 1, "END must be HALT's index");

static uint32_t variables[VARIABLES], cells[CELLS];

NOINLINE static uint32_t interpret(const uint32_t *code) {
    uint32_t stack[16], *top = stack;
    for (const uint32_t *pc = code;;) {
        switch (*pc++) {
        case PUSH: *top++ = *pc++; break;
        case LOAD: *top++ = variables[*pc++]; break;
        case STORE: variables[*pc++] = *--top; break;
        case ADD: top--; top[-1] += top[0]; break;
        case MUL: top--; top[-1] *= top[0]; break;
        case LESS: top--; top[-1] = top[-1] < top[0]; break;
        case JUMP: pc = code + *pc; break;
        case JUMP_IF_ZERO: pc = *--top ? pc + 1 : code + *pc; break;
        case XOR: top--; top[-1] ^= top[0]; break;
        case SHIFT: top--; top[-1] >>= top[0]; break;
        case AND: top--; top[-1] &= top[0]; break;
        case DUP: top[0] = top[-1]; top++; break;
        case PEEK: top[-1] = cells[top[-1] % CELLS]; break;
        case POKE: top -= 2; cells[top[0] % CELLS] = top[1]; break;
        case HALT: return variables[X];
        default: __builtin_trap();
        }
    }
}

KERNEL(rounds) {
    for (int i = 0; i < CELLS; i++)
        cells[i] = 0;
    variables[LIMIT] = rounds * ITERATIONS_PER_ROUND;
    uint32_t sum = interpret(program + opaque(0));
    for (int i = 0; i < CELLS; i++)
        sum = sum * 31 + cells[i];
    return sum;
}
