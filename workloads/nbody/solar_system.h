/* The sun and its four gas giants under Newton's law: the well-known n-body benchmark.
 * Units: astronomical units, solar masses times 4π², years. */
#pragma once

enum { BODIES = 5 };

#define SOLAR_MASS (4 * 3.141592653589793 * 3.141592653589793)
#define DAYS_PER_YEAR 365.24

typedef struct {
    double x, y, z, vx, vy, vz, mass;
} body;

static const body solar_system[BODIES] = {
    {.mass = SOLAR_MASS},
    {4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01,
     1.66007664274403694e-03 * DAYS_PER_YEAR, 7.69901118419740425e-03 * DAYS_PER_YEAR,
     -6.90460016972063023e-05 * DAYS_PER_YEAR, 9.54791938424326609e-04 * SOLAR_MASS},
    {8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01,
     -2.76742510726411040e-03 * DAYS_PER_YEAR, 4.99852801234917238e-03 * DAYS_PER_YEAR,
     2.30417297573763929e-05 * DAYS_PER_YEAR, 2.85885980666130812e-04 * SOLAR_MASS},
    {1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01,
     2.96460137564761618e-03 * DAYS_PER_YEAR, 2.37847173959480950e-03 * DAYS_PER_YEAR,
     -2.96589568540237556e-05 * DAYS_PER_YEAR, 4.36624404335156298e-05 * SOLAR_MASS},
    {1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01,
     2.68067772490389322e-03 * DAYS_PER_YEAR, 1.62824170038242295e-03 * DAYS_PER_YEAR,
     -9.51592254519715870e-05 * DAYS_PER_YEAR, 5.15138902046611451e-05 * SOLAR_MASS},
};

static void attract(body *p, body *q, double dt) {
    double dx = p->x - q->x, dy = p->y - q->y, dz = p->z - q->z;
    double squared = dx * dx + dy * dy + dz * dz;
    double magnitude = dt / (squared * __builtin_sqrt(squared));
    p->vx -= dx * q->mass * magnitude;
    p->vy -= dy * q->mass * magnitude;
    p->vz -= dz * q->mass * magnitude;
    q->vx += dx * p->mass * magnitude;
    q->vy += dy * p->mass * magnitude;
    q->vz += dz * p->mass * magnitude;
}

static inline void advance(body *bodies, unsigned count, double dt) {
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = i + 1; j < count; j++)
            attract(&bodies[i], &bodies[j], dt);
    for (unsigned i = 0; i < count; i++) {
        bodies[i].x += dt * bodies[i].vx;
        bodies[i].y += dt * bodies[i].vy;
        bodies[i].z += dt * bodies[i].vz;
    }
}
