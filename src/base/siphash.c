#include "base/siphash.h"

#include <string.h>
#include <sys/random.h>

#include "base/attr.h"
#include "base/clock.h"

struct sip {
    uint64_t a, b, c, d;
};

static inline uint64_t turned(uint64_t v, int bits)
{
    return v << bits | v >> (64 - bits);
}

static ALWAYS_INLINE void mix(struct sip *s, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        s->a += s->b;
        s->c += s->d;
        s->b = turned(s->b, 13) ^ s->a;
        s->d = turned(s->d, 16) ^ s->c;
        s->a = turned(s->a, 32);
        s->c += s->b;
        s->a += s->d;
        s->b = turned(s->b, 17) ^ s->c;
        s->d = turned(s->d, 21) ^ s->a;
        s->c = turned(s->c, 32);
    }
}

/* The last bytes, little endian, below the length's lowest byte. */
static inline uint64_t tail_of(const unsigned char *p, size_t n)
{
    uint64_t v = (uint64_t)n << 56;

    for (size_t i = 0; i < (n & 7); i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

static ALWAYS_INLINE void absorb(struct sip *s, const void *data, size_t n, int rounds)
{
    const unsigned char *p = data, *end = p + (n & ~(size_t)7);
    uint64_t m;

    for (; p < end; p += 8) {
        memcpy(&m, p, 8); /* little endian, as all machines that we build on */
        s->d ^= m;
        mix(s, rounds);
        s->a ^= m;
    }
    m = tail_of(p, n);
    s->d ^= m;
    mix(s, rounds);
    s->a ^= m;
}

static ALWAYS_INLINE struct sip start(const struct siphash_key *key)
{
    return (struct sip){key->k0 ^ 0x736f6d6570736575u, key->k1 ^ 0x646f72616e646f6du,
                        key->k0 ^ 0x6c7967656e657261u, key->k1 ^ 0x7465646279746573u};
}

uint64_t siphash13(const struct siphash_key *key, const void *data, size_t n)
{
    struct sip s = start(key);

    absorb(&s, data, n, 1);
    s.c ^= 0xFF;
    mix(&s, 3);
    return s.a ^ s.b ^ s.c ^ s.d;
}

uint64_t siphash24(const struct siphash_key *key, const void *data, size_t n)
{
    struct sip s = start(key);

    absorb(&s, data, n, 2);
    s.c ^= 0xFF;
    mix(&s, 4);
    return s.a ^ s.b ^ s.c ^ s.d;
}

void siphash24_128(const struct siphash_key *key, const void *data, size_t n,
                   uint64_t out[2])
{
    struct sip s = start(key);

    s.b ^= 0xEE;
    absorb(&s, data, n, 2);
    s.c ^= 0xEE;
    mix(&s, 4);
    out[0] = s.a ^ s.b ^ s.c ^ s.d;
    s.b ^= 0xDD;
    mix(&s, 4);
    out[1] = s.a ^ s.b ^ s.c ^ s.d;
}

void siphash_key_random(struct siphash_key *key)
{
    if (getrandom(key, sizeof *key, 0) != (ssize_t)sizeof *key) {
        key->k0 = clock_mono_ns();
        key->k1 = (uint64_t)clock_wall_ms();
    }
}
