/*
 * gen - bodies for wrk and for bench/scan, each distinct: gen N BATCH [kind]
 *
 * Writes N bodies of BATCH events (an array; one event: the object), one a line. Kinds:
 *
 *   shuffled   the keys of each object in an order of its own, each equally likely
 *   rotated    the keys of each event begin elsewhere
 *   wide       20 keys more, of which no schema knows
 *   deep       a value more of 40 levels
 *   long       a text more of 4 KB
 *   twice      the first key stands behind the last once more
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/tools/event.h"

enum { BYTES_MAX = 8192, MEMBERS_MAX = 16 };

static uint64_t state;

static unsigned below(unsigned n)
{
    state = event_mix(state);
    return (unsigned)(state % n);
}

/* The members of the object at p of n bytes, as offsets of their ends. */
static size_t split(const char *p, size_t n, size_t ends[MEMBERS_MAX])
{
    size_t count = 0;
    unsigned depth = 0;
    int quoted = 0;

    for (size_t i = 1; i + 1 < n; i++) {
        char c = p[i];

        quoted ^= c == '"';
        depth += !quoted && (c == '{' || c == '[');
        depth -= !quoted && (c == '}' || c == ']');
        if (!quoted && depth == 0 && c == ',') {
            ends[count++] = i;
        }
    }
    ends[count++] = n - 1;
    return count;
}

/* The object at p of n bytes to out: as order says, and so the objects in it. */
static void reorder(const char *p, size_t n, int shuffled, char *out)
{
    size_t ends[MEMBERS_MAX], order[MEMBERS_MAX];
    size_t count = split(p, n, ends), first = below((unsigned)count);

    for (size_t i = 0; i < count; i++) {
        size_t k = shuffled ? below((unsigned)i + 1) : i;

        order[i] = (i + first) % count;
        if (shuffled) {
            order[i] = order[k];
            order[k] = i;
        }
    }
    for (size_t i = 0; i < count; i++) {
        size_t from = order[i] == 0 ? 1 : ends[order[i] - 1] + 1;
        size_t size = ends[order[i]] - from;
        const char *inner = memchr(p + from, '{', size);

        *out++ = i == 0 ? '{' : ',';
        memcpy(out, p + from, size);
        if (inner != NULL && shuffled) {
            reorder(inner, size - (size_t)(inner - (p + from)), shuffled,
                    out + (inner - (p + from)));
        }
        out += size;
    }
    *out = '}';
}

static size_t extend(const char *kind, char *event, size_t n)
{
    size_t k = n - 1;

    if (strcmp(kind, "wide") == 0) {
        for (int i = 0; i < 20; i++) {
            k += (size_t)sprintf(event + k, ",\"extra_%02d\":%s", i,
                                 i % 4 == 0 ? "12345" : "\"a value\"");
        }
    } else if (strcmp(kind, "deep") == 0) {
        k += (size_t)sprintf(event + k, ",\"deep\":");
        for (int i = 0; i < 40; i++) {
            k += (size_t)sprintf(event + k, i % 2 == 0 ? "[" : "{\"inner\":");
        }
        event[k++] = '1';
        for (int i = 39; i >= 0; i--) {
            event[k++] = i % 2 == 0 ? ']' : '}';
        }
    } else if (strcmp(kind, "long") == 0) {
        k += (size_t)sprintf(event + k, ",\"text\":\"");
        memset(event + k, 'x', 4096);
        k += 4096;
        event[k++] = '"';
    } else if (strcmp(kind, "twice") == 0) {
        k += (size_t)sprintf(event + k, ",\"event_id\":\"again\"");
    } else {
        return n;
    }
    event[k++] = '}';
    return k;
}

int main(int argc, char **argv)
{
    unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    unsigned long batch = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    const char *kind = argc > 3 ? argv[3] : "usual";
    int shuffled = strcmp(kind, "shuffled") == 0;
    unsigned long number = 1;

    for (unsigned long i = 0; i < n; i++) {
        (void)putchar(batch > 1 ? '[' : ' ');
        for (unsigned long j = 0; j < batch; j++, number++) {
            char event[BYTES_MAX], other[BYTES_MAX];
            size_t k = extend(kind, event, event_write(event, number));

            if (shuffled || strcmp(kind, "rotated") == 0) {
                reorder(event, k, shuffled, other);
                memcpy(event, other, k);
            }
            (void)printf("%s%.*s", j > 0 ? "," : "", (int)k, event);
        }
        (void)puts(batch > 1 ? "]" : "");
    }
    return 0;
}
