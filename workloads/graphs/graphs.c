/* graphs [SCALE]: the usual kernels over a random graph of 2^SCALE vertices with a few vertices of
 * very many edges (Kronecker): breadth-first search, shortest paths, components, ranks, triangles. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEGREE = 8, FAR = INT32_MAX };

static uint32_t vertices, edges;
static uint32_t *start, *target; /* neighbours of v: target[start[v]] to target[start[v + 1] - 1] */
static uint8_t *weight;

/* xorshift64: the same graph in every run. */
static uint64_t next_random(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory) {
        fputs("graphs: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

static int by_value(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static void generate(int scale) {
    vertices = 1u << scale;
    edges = vertices * DEGREE * 2;
    uint32_t *from = allocate(edges, sizeof *from), *to = allocate(edges, sizeof *to);
    for (uint32_t edge = 0; edge < edges; edge += 2) {
        uint32_t a = 0, b = 0;
        for (int bit = 0; bit < scale; bit++) {
            uint64_t choice = next_random() % 100;
            a = a << 1 | (choice >= 76);
            b = b << 1 | ((choice >= 57 && choice < 76) || choice >= 95);
        }
        from[edge] = to[edge + 1] = a;
        to[edge] = from[edge + 1] = b;
    }
    start = allocate(vertices + 1, sizeof *start);
    target = allocate(edges, sizeof *target);
    weight = allocate(edges, sizeof *weight);
    for (uint32_t edge = 0; edge < edges; edge++)
        start[from[edge] + 1]++;
    for (uint32_t v = 0; v < vertices; v++)
        start[v + 1] += start[v];
    uint32_t *filled = allocate(vertices, sizeof *filled);
    for (uint32_t edge = 0; edge < edges; edge++)
        target[start[from[edge]] + filled[from[edge]]++] = to[edge];
    for (uint32_t v = 0; v < vertices; v++) {
        qsort(target + start[v], start[v + 1] - start[v], sizeof *target, by_value);
        for (uint32_t edge = start[v]; edge < start[v + 1]; edge++)
            weight[edge] = (uint8_t)(1 + ((v ^ target[edge]) * 2654435761u >> 24) % 99);
    }
    free(from);
    free(to);
    free(filled);
}

static uint64_t digest(const void *values, size_t bytes) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ ((const uint8_t *)values)[i]) * 1099511628211u;
    return hash;
}

static void report(const char *kernel, uint64_t count, uint64_t hash) {
    printf("%-12s %10" PRIu64 " %016" PRIx64 "\n", kernel, count, hash);
    fflush(stdout);
}

static void search(uint32_t root) {
    int32_t *depth = allocate(vertices, sizeof *depth);
    uint32_t *queue = allocate(vertices, sizeof *queue), head = 0, tail = 0;
    memset(depth, -1, vertices * sizeof *depth);
    depth[root] = 0;
    queue[tail++] = root;
    while (head < tail) {
        uint32_t v = queue[head++];
        for (uint32_t edge = start[v]; edge < start[v + 1]; edge++)
            if (depth[target[edge]] < 0) {
                depth[target[edge]] = depth[v] + 1;
                queue[tail++] = target[edge];
            }
    }
    report("search", tail, digest(depth, vertices * sizeof *depth));
    free(depth);
    free(queue);
}

/* Dijkstra's, with a binary heap of (distance, vertex). */
static void paths(uint32_t root) {
    int32_t *distance = allocate(vertices, sizeof *distance);
    uint64_t *heap = allocate(edges + 1, sizeof *heap), size = 0, settled = 0;
    for (uint32_t v = 0; v < vertices; v++)
        distance[v] = FAR;
    distance[root] = 0;
    heap[++size] = root;
    while (size) {
        uint64_t top = heap[1], last = heap[size--];
        uint32_t place = 1, child;
        while ((child = place * 2) <= size) {
            child += child < size && heap[child + 1] < heap[child];
            if (last <= heap[child])
                break;
            heap[place] = heap[child];
            place = child;
        }
        heap[place] = last;
        uint32_t v = (uint32_t)top;
        if ((int32_t)(top >> 32) > distance[v])
            continue;
        settled++;
        for (uint32_t edge = start[v]; edge < start[v + 1]; edge++) {
            int32_t through = distance[v] + weight[edge];
            if (through >= distance[target[edge]])
                continue;
            distance[target[edge]] = through;
            uint64_t entry = (uint64_t)through << 32 | target[edge];
            for (place = (uint32_t)++size; place > 1 && heap[place / 2] > entry; place /= 2)
                heap[place] = heap[place / 2];
            heap[place] = entry;
        }
    }
    report("paths", settled, digest(distance, vertices * sizeof *distance));
    free(distance);
    free(heap);
}

static uint32_t leader(uint32_t *above, uint32_t v) {
    return above[v] == v ? v : (above[v] = leader(above, above[v]));
}

static void components(void) {
    uint32_t *above = allocate(vertices, sizeof *above), count = 0;
    for (uint32_t v = 0; v < vertices; v++)
        above[v] = v;
    for (uint32_t v = 0; v < vertices; v++)
        for (uint32_t edge = start[v]; edge < start[v + 1]; edge++) {
            uint32_t a = leader(above, v), b = leader(above, target[edge]);
            above[a > b ? a : b] = a > b ? b : a;
        }
    for (uint32_t v = 0; v < vertices; v++)
        count += leader(above, v) == v;
    report("components", count, digest(above, vertices * sizeof *above));
    free(above);
}

static void ranks(int rounds) {
    double *rank = allocate(vertices, sizeof *rank), *next = allocate(vertices, sizeof *next);
    for (uint32_t v = 0; v < vertices; v++)
        rank[v] = 1.0 / vertices;
    for (int round = 0; round < rounds; round++) {
        for (uint32_t v = 0; v < vertices; v++)
            next[v] = 0.15 / vertices;
        for (uint32_t v = 0; v < vertices; v++)
            for (uint32_t edge = start[v]; edge < start[v + 1]; edge++)
                next[target[edge]] += 0.85 * rank[v] / (start[v + 1] - start[v]);
        double *swap = rank;
        rank = next;
        next = swap;
    }
    report("ranks", (uint64_t)rounds, digest(rank, vertices * sizeof *rank));
    free(rank);
    free(next);
}

static void triangles(void) {
    uint64_t count = 0;
    for (uint32_t a = 0; a < vertices; a++)
        for (uint32_t edge = start[a]; edge < start[a + 1] && target[edge] < a; edge++) {
            uint32_t b = target[edge], i = start[a], j = start[b];
            while (i < start[a + 1] && j < start[b + 1] && target[i] < b && target[j] < b) {
                count += target[i] == target[j];
                uint32_t left = target[i], right = target[j];
                i += left <= right;
                j += right <= left;
            }
        }
    report("triangles", count, count);
}

int main(int count, char **arguments) {
    int scale = count > 1 ? atoi(arguments[1]) : 15;
    if (scale < 1 || scale > 22) {
        fputs("graphs: SCALE is 1 to 22\n", stderr);
        return 2;
    }
    generate(scale);
    report("generated", edges, digest(target, edges * sizeof *target));
    search(0);
    paths(0);
    components();
    ranks(10);
    triangles();
    return 0;
}
