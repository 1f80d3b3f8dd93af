/* Double precision: the motion of the sun and its four gas giants. */
#include "common.h"

#include "../nbody/solar_system.h"

enum { STEPS_PER_ROUND = 1000 };

static body bodies[BODIES];

NOINLINE static void step(unsigned count) {
    advance(bodies, count, 0.01);
}

KERNEL(rounds) {
    for (int i = 0; i < BODIES; i++)
        bodies[i] = solar_system[i];
    uint32_t count = opaque(BODIES);
    for (uint64_t i = 0; i < (uint64_t)rounds * STEPS_PER_ROUND; i++)
        step(count);
    double sum = 0;
    for (int i = 0; i < BODIES; i++)
        sum += bodies[i].x * bodies[i].y;
    return (uint32_t)(int64_t)(sum * 1e6);
}
