/* nbody [STEPS]: moves the gas giants for STEPS steps of a hundredth of a year and prints the energy
 * of the system along the way. A job that computes and hardly ever talks to the outside. */
#include <stdio.h>
#include <stdlib.h>

#include "solar_system.h"

enum { REPORTS = 10 };

static double energy(const body *bodies) {
    double e = 0;
    for (int i = 0; i < BODIES; i++) {
        const body *p = &bodies[i];
        e += 0.5 * p->mass * (p->vx * p->vx + p->vy * p->vy + p->vz * p->vz);
        for (int j = i + 1; j < BODIES; j++) {
            const body *q = &bodies[j];
            double dx = p->x - q->x, dy = p->y - q->y, dz = p->z - q->z;
            e -= p->mass * q->mass / __builtin_sqrt(dx * dx + dy * dy + dz * dz);
        }
    }
    return e;
}

/* Gives the sun the momentum that keeps the centre of mass where it is. */
static void cancel_momentum(body *bodies) {
    body *sun = &bodies[0];
    for (int i = 1; i < BODIES; i++) {
        sun->vx -= bodies[i].vx * bodies[i].mass / SOLAR_MASS;
        sun->vy -= bodies[i].vy * bodies[i].mass / SOLAR_MASS;
        sun->vz -= bodies[i].vz * bodies[i].mass / SOLAR_MASS;
    }
}

int main(int argc, char **argv) {
    char *end = "";
    unsigned long long steps = argc > 1 ? strtoull(argv[1], &end, 10) : 30000000;
    if (argc > 2 || *end) {
        fprintf(stderr, "usage: nbody [STEPS]\n");
        return 2;
    }

    body bodies[BODIES];
    for (int i = 0; i < BODIES; i++)
        bodies[i] = solar_system[i];
    cancel_momentum(bodies);

    printf("step %llu: energy %.9f\n", 0ULL, energy(bodies));
    for (unsigned long long step = 1; step <= steps; step++) {
        advance(bodies, BODIES, 0.01);
        if (step == steps || (steps >= REPORTS && step % (steps / REPORTS) == 0)) {
            printf("step %llu: energy %.9f\n", step, energy(bodies));
            fflush(stdout);
        }
    }
    return 0;
}
