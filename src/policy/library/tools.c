#include "policy/library/tools.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/siphash.h"
#include "plan/moment.h"
#include "policy/internal.h"

/* Sampling must agree between processes and versions. */
static const struct siphash_key fixed_key = {0x736c756963652d31u, 0x68617368206f6620u};

/* splitmix64 (Steele, Lea, Flood, 2014), which seeds the other generator. */
static uint64_t split(uint64_t *x)
{
    uint64_t z = *x += 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void seed_for(struct tools *t, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        t->random[i] = split(&seed);
    }
}

struct tools *tools_new(uint64_t seed)
{
    struct tools *t = mem_zalloc(sizeof *t);
    struct siphash_key key;

    if (seed == 0) {
        siphash_key_random(&key);
        seed = key.k0 ^ key.k1;
    }
    seed_for(t, seed);
    return t;
}

void tools_free(struct tools *t)
{
    free(t);
}

struct tools *tools_of(struct sluice_context *c)
{
    struct tools *t = OUTER(c, struct policy_state, context)->tools;
    uint64_t event = (uint64_t)c->epoch << 32 | c->at;

    if (t->by_event && t->event != event) {
        t->event = event;
        t->uuid_ms = 0;
        seed_for(t, event);
    }
    return t;
}

void policy_state_by_event(struct policy_state *s)
{
    s->tools->by_event = true;
    s->tools->event = UINT64_MAX;
}

uint64_t tools_random(struct tools *t)
{
    uint64_t *s = t->random, x = s[1] * 5, kept = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= kept;
    s[3] = s[3] << 45 | s[3] >> 19;
    return (x << 7 | x >> 57) * 9;
}

double sluice_random(struct sluice_context *c)
{
    return (double)(tools_random(tools_of(c)) >> 11) * 0x1p-53;
}

double sluice_hash(const char *p, size_t n)
{
    return (double)(siphash13(&fixed_key, p, n) >> 11);
}

/* ---- uuids ---- */

enum { UUID_BYTES = 36, RAND_A_BITS = 12, RAND_B_BITS = 62 };

static const uint64_t A_END = 1ull << RAND_A_BITS, B_END = 1ull << RAND_B_BITS;

/* RFC 9562, 6.2, method 2: within a millisecond the random bits go up by a random
 * step; the top bit starts as zero, so that there is room to go up. A clock that
 * steps back is not followed. */
static void next_uuid(struct tools *t, uint64_t ms)
{
    if (ms > t->uuid_ms) {
        t->uuid_ms = ms;
        t->uuid_a = tools_random(t) & (A_END / 2 - 1);
        t->uuid_b = tools_random(t) & (B_END - 1);
        return;
    }
    t->uuid_b += (tools_random(t) >> 32) + 1;
    if (t->uuid_b >= B_END) {
        t->uuid_b -= B_END;
        t->uuid_a++;
    }
    if (t->uuid_a >= A_END) {
        t->uuid_a = 0;
        t->uuid_ms++;
    }
}

static char *put_hex(char *out, uint64_t v, int digits)
{
    for (int i = digits - 1; i >= 0; i--, v >>= 4) {
        out[i] = "0123456789abcdef"[v & 15];
    }
    return out + digits;
}

void sluice_uuid7(struct sluice_context *c, struct sluice_value *out)
{
    struct tools *t = tools_of(c);
    char *p = t->scratch;

    next_uuid(t, (uint64_t)c->time_ms & ((1ull << 48) - 1));
    p = put_hex(p, t->uuid_ms >> 16, 8);
    *p++ = '-';
    p = put_hex(p, t->uuid_ms & 0xFFFF, 4);
    *p++ = '-';
    p = put_hex(p, 0x7000 | t->uuid_a, 4);
    *p++ = '-';
    p = put_hex(p, 0x8000 | t->uuid_b >> 48, 4);
    *p++ = '-';
    (void)put_hex(p, t->uuid_b & ((1ull << 48) - 1), 12);
    out->text = t->scratch;
    out->len = UUID_BYTES;
}

/* ---- time ---- */

int sluice_iso8601(struct sluice_context *c, double ms, struct sluice_value *out)
{
    struct tools *t = tools_of(c);

    out->text = t->scratch;
    out->len = MOMENT_BYTES;
    return moment_text(ms, t->scratch);
}

int sluice_parse_time(const char *p, size_t n, struct sluice_value *out)
{
    int64_t ms;

    if (!moment_ms((struct str){p, n}, &ms)) {
        return 0;
    }
    out->num = (double)ms;
    return 1;
}
