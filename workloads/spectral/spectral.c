/* spectral [N]: the spectral norm of the infinite matrix A with a[i][j] = 1/((i+j)(i+j+1)/2 + i + 1),
 * cut off at N by N, by the power method: the estimate after each iteration. The vectors are on the heap. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ITERATIONS = 10 };

static double element(size_t i, size_t j) {
    return 1.0 / (double)((i + j) * (i + j + 1) / 2 + i + 1);
}

static void times_a(const double *v, double *product, size_t n) {
    for (size_t i = 0; i < n; i++) {
        product[i] = 0;
        for (size_t j = 0; j < n; j++)
            product[i] += element(i, j) * v[j];
    }
}

static void times_transposed_a(const double *v, double *product, size_t n) {
    for (size_t i = 0; i < n; i++) {
        product[i] = 0;
        for (size_t j = 0; j < n; j++)
            product[i] += element(j, i) * v[j];
    }
}

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static double *vector(size_t n) {
    double *v = malloc(n * sizeof *v);
    if (!v) {
        fprintf(stderr, "spectral: no memory for %zu elements\n", n);
        exit(1);
    }
    return v;
}

int main(int argc, char **argv) {
    char *end = "";
    size_t n = argc > 1 ? strtoul(argv[1], &end, 10) : 6000;
    if (argc > 2 || *end || n == 0) {
        fprintf(stderr, "usage: spectral [N]\n");
        return 2;
    }

    double *u = vector(n), *v = vector(n), *between = vector(n);
    for (size_t i = 0; i < n; i++)
        u[i] = 1;
    for (int iteration = 1; iteration <= ITERATIONS; iteration++) {
        times_a(u, between, n);
        times_transposed_a(between, v, n);
        printf("iteration %d: norm %.9f\n", iteration, sqrt(dot(u, v, n) / dot(u, u, n)));
        fflush(stdout);
        times_a(v, between, n);
        times_transposed_a(between, u, n);
    }
    printf("spectral norm: %.9f\n", sqrt(dot(u, v, n) / dot(v, v, n)));
    free(u);
    free(v);
    free(between);
    return 0;
}
