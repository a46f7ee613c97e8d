#include "base/siphash.h"

#include <stdbool.h>
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
    uint64_t v = (uint64_t)n << 56, last;

    if (n > 8 && (n & 7) != 0) { /* with those before them, in one read */
        memcpy(&last, p + (n & 7) - 8, 8);
        return v | last >> (64 - 8 * (n & 7));
    }
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

#if defined(__x86_64__)
/* One hash is a chain of steps that wait for each other: four take little longer. */
typedef uint64_t lanes __attribute__((vector_size(32)));

struct sips {
    lanes a, b, c, d;
};

#define FOUR __attribute__((target("avx2"), always_inline)) static inline

FOUR void turn(lanes *v, int bits)
{
    *v = *v << bits | *v >> (64 - bits);
}

FOUR void mix_four(struct sips *s, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        s->a += s->b;
        s->c += s->d;
        turn(&s->b, 13);
        turn(&s->d, 16);
        s->b ^= s->a;
        s->d ^= s->c;
        turn(&s->a, 32);
        s->c += s->b;
        s->a += s->d;
        turn(&s->b, 17);
        turn(&s->d, 21);
        s->b ^= s->c;
        s->d ^= s->a;
        turn(&s->c, 32);
    }
}

FOUR void absorb_four(struct sips *s, lanes m)
{
    s->d ^= m;
    mix_four(s, 2);
    s->a ^= m;
}

static inline uint64_t word_at(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t tail_at(const struct str *text, size_t words)
{
    return tail_of((const unsigned char *)text->p + 8 * words, text->n);
}

/* Texts of as many whole words each. */
__attribute__((target("avx2"))) static void
hash_four(const struct siphash_key *key, const struct str *texts, uint64_t *out)
{
    const struct sip one = start(key);
    const struct str *t = texts;
    const size_t words = t[0].n / 8;
    struct sips s = {(lanes){0} + one.a, (lanes){0} + one.b, (lanes){0} + one.c,
                     (lanes){0} + one.d};

    for (size_t i = 0; i < 8 * words; i += 8) {
        absorb_four(&s, (lanes){word_at(t[0].p + i), word_at(t[1].p + i),
                                word_at(t[2].p + i), word_at(t[3].p + i)});
    }
    absorb_four(&s, (lanes){tail_at(&t[0], words), tail_at(&t[1], words),
                            tail_at(&t[2], words), tail_at(&t[3], words)});
    s.c ^= 0xFF;
    mix_four(&s, 4);
    s.a ^= s.b ^ s.c ^ s.d;
    memcpy(out, &s.a, sizeof s.a);
}

static bool four_fit(const struct str *t)
{
    const size_t words = t[0].n / 8;

    return t[1].n / 8 == words && t[2].n / 8 == words && t[3].n / 8 == words &&
           __builtin_cpu_supports("avx2");
}
#else
static bool four_fit(const struct str *t)
{
    (void)t;
    return false;
}

static void hash_four(const struct siphash_key *key, const struct str *texts,
                      uint64_t *out)
{
    (void)key;
    (void)texts;
    (void)out;
}
#endif

void siphash24_each(const struct siphash_key *key, const struct str *texts, size_t n,
                    uint64_t *out)
{
    size_t i = 0;

    while (i < n) {
        if (n - i >= 4 && four_fit(texts + i)) {
            hash_four(key, texts + i, out + i);
            i += 4;
        } else {
            out[i] = siphash24(key, texts[i].p, texts[i].n);
            i++;
        }
    }
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
