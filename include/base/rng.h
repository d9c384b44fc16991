/* rng.h: seeded numbers without global state, and the mixing function that derives sub-seeds.
 * splitmix64 after Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (2014):
 * constants from that paper. Chances are ratios (rng_chance(&r, 1, 100)), never floats. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t state;
};

static inline uint64_t rng_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline struct rng rng_seeded(uint64_t seed)
{
    return (struct rng){rng_mix(seed)};
}

static inline uint64_t rng_next(struct rng *r)
{
    uint64_t x = rng_mix(r->state);

    r->state += 0x9e3779b97f4a7c15u;
    return x;
}

/* A number in [0, n); 0 when n is 0. The bias is below n / 2^64. */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
    return n ? rng_next(r) % n : 0;
}

static inline bool rng_chance(struct rng *r, uint64_t num, uint64_t den)
{
    return rng_below(r, den) < num;
}

#endif
