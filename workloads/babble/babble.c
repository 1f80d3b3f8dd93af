/* babble [TOKENS]: a small language model, a transformer over bytes with weights out of a random
 * generator. It makes no sense, and computes what one that does would: attention with a cache of
 * keys and values, normalisation, a gated feed-forward layer, and a choice among the likeliest. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 64, HEADS = 4, HEAD = WIDTH / HEADS, HIDDEN = 172, LAYERS = 4, TOKENS = 256, CONTEXT = 256 };

typedef struct {
    float query[WIDTH][WIDTH], key[WIDTH][WIDTH], value[WIDTH][WIDTH], out[WIDTH][WIDTH];
    float gate[HIDDEN][WIDTH], up[HIDDEN][WIDTH], down[WIDTH][HIDDEN];
    float keys[CONTEXT][WIDTH], values[CONTEXT][WIDTH];
} layer;

static float embedding[TOKENS][WIDTH];
static layer *layers;

/* xorshift64: the same weights, and the same choices, in every run. */
static uint64_t next_random(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void fill(float *weights, size_t count, float scale) {
    for (size_t i = 0; i < count; i++)
        weights[i] = ((float)(next_random() >> 40) / (float)(1 << 24) - 0.5f) * scale;
}

static void multiply(float *out, const float *matrix, const float *in, int rows, int columns) {
    for (int row = 0; row < rows; row++) {
        float sum = 0;
        for (int column = 0; column < columns; column++)
            sum += matrix[row * columns + column] * in[column];
        out[row] = sum;
    }
}

static void normalise(float *out, const float *in) {
    float squares = 0;
    for (int i = 0; i < WIDTH; i++)
        squares += in[i] * in[i];
    float scale = 1 / sqrtf(squares / WIDTH + 1e-5f);
    for (int i = 0; i < WIDTH; i++)
        out[i] = in[i] * scale;
}

static void softmax(float *values, int count) {
    float most = values[0], sum = 0;
    for (int i = 1; i < count; i++)
        most = fmaxf(most, values[i]);
    for (int i = 0; i < count; i++)
        sum += values[i] = expf(values[i] - most);
    for (int i = 0; i < count; i++)
        values[i] /= sum;
}

/* Turns pairs of a head's values by an angle that says where the token stands. */
static void rotate(float *values, int position) {
    for (int i = 0; i < WIDTH; i += 2) {
        float angle = (float)position / powf(10000, (float)(i % HEAD) / HEAD);
        float a = values[i], b = values[i + 1];
        values[i] = a * cosf(angle) - b * sinf(angle);
        values[i + 1] = a * sinf(angle) + b * cosf(angle);
    }
}

static void attend(layer *this, float *x, int position) {
    float in[WIDTH], query[WIDTH], mixed[WIDTH] = {0}, out[WIDTH], scores[CONTEXT];
    int seen = position < CONTEXT ? position + 1 : CONTEXT, place = position % CONTEXT;
    normalise(in, x);
    multiply(query, &this->query[0][0], in, WIDTH, WIDTH);
    multiply(this->keys[place], &this->key[0][0], in, WIDTH, WIDTH);
    multiply(this->values[place], &this->value[0][0], in, WIDTH, WIDTH);
    rotate(query, position);
    rotate(this->keys[place], position);
    for (int head = 0; head < WIDTH; head += HEAD) {
        for (int at = 0; at < seen; at++) {
            scores[at] = 0;
            for (int i = head; i < head + HEAD; i++)
                scores[at] += query[i] * this->keys[at][i];
            scores[at] /= sqrtf(HEAD);
        }
        softmax(scores, seen);
        for (int at = 0; at < seen; at++)
            for (int i = head; i < head + HEAD; i++)
                mixed[i] += scores[at] * this->values[at][i];
    }
    multiply(out, &this->out[0][0], mixed, WIDTH, WIDTH);
    for (int i = 0; i < WIDTH; i++)
        x[i] += out[i];
}

static void think(const layer *this, float *x) {
    float in[WIDTH], gate[HIDDEN], up[HIDDEN], out[WIDTH];
    normalise(in, x);
    multiply(gate, &this->gate[0][0], in, HIDDEN, WIDTH);
    multiply(up, &this->up[0][0], in, HIDDEN, WIDTH);
    for (int i = 0; i < HIDDEN; i++)
        up[i] *= gate[i] / (1 + expf(-gate[i]));
    multiply(out, &this->down[0][0], up, WIDTH, HIDDEN);
    for (int i = 0; i < WIDTH; i++)
        x[i] += out[i];
}

static int choose(const float *x) {
    float likely[TOKENS], in[WIDTH];
    normalise(in, x);
    multiply(likely, &embedding[0][0], in, TOKENS, WIDTH);
    softmax(likely, TOKENS);
    float left = (float)(next_random() >> 40) / (float)(1 << 24);
    for (int token = 0; token < TOKENS; token++)
        if ((left -= likely[token]) < 0)
            return token;
    return TOKENS - 1;
}

int main(int count, char **arguments) {
    int tokens = count > 1 ? atoi(arguments[1]) : 2000, token = 'W';
    layers = calloc(LAYERS, sizeof *layers);
    if (!layers)
        return 1;
    fill(&embedding[0][0], TOKENS * WIDTH, 3);
    for (int i = 0; i < LAYERS; i++)
        fill(&layers[i].query[0][0], (sizeof *layers - 2 * sizeof layers->keys) / sizeof(float), 0.4f);
    uint64_t hash = 14695981039346656037u;
    for (int position = 0; position < tokens; position++) {
        float x[WIDTH];
        memcpy(x, embedding[token], sizeof x);
        for (int i = 0; i < LAYERS; i++) {
            attend(&layers[i], x, position);
            think(&layers[i], x);
        }
        for (size_t i = 0; i < sizeof x; i++)
            hash = (hash ^ ((uint8_t *)x)[i]) * 1099511628211u;
        token = choose(x);
        putchar(' ' + token % 95);
        if (position % 64 == 63) {
            printf(" %016" PRIx64 "\n", hash);
            fflush(stdout);
        }
    }
    printf("\n%016" PRIx64 "\n", hash);
    return 0;
}
