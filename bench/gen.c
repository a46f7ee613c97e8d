/*
 * gen - bodies for wrk, each distinct: gen N BATCH [shuffled]
 *
 * Writes N bodies of BATCH events (an array; one event: the object), one a
 * line. shuffled: the keys of each event in another order, which is the
 * scanner's worst case.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/tools/event.h"

/* The top-level members of an event, rotated by r. */
static size_t rotate(char *event, size_t n, unsigned r)
{
    char copy[EVENT_BYTES_MAX];
    size_t starts[16], count = 0;
    unsigned depth = 0;
    int quoted = 0;
    size_t k = 0;

    memcpy(copy, event, n);
    starts[count++] = 1;
    for (size_t i = 1; i + 1 < n; i++) {
        char c = copy[i];

        quoted ^= c == '"';
        depth += !quoted && (c == '{' || c == '[');
        depth -= !quoted && (c == '}' || c == ']');
        if (!quoted && depth == 0 && c == ',') {
            starts[count++] = i + 1;
        }
    }
    event[k++] = '{';
    for (size_t j = 0; j < count; j++) {
        size_t m = (j + r) % count;
        size_t end = m + 1 < count ? starts[m + 1] - 1 : n - 1;

        if (j > 0) {
            event[k++] = ',';
        }
        memcpy(event + k, copy + starts[m], end - starts[m]);
        k += end - starts[m];
    }
    event[k++] = '}';
    return k;
}

int main(int argc, char **argv)
{
    unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    unsigned long batch = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    int shuffled = argc > 3 && strcmp(argv[3], "shuffled") == 0;
    unsigned long number = 1;

    for (unsigned long i = 0; i < n; i++) {
        (void)putchar(batch > 1 ? '[' : ' ');
        for (unsigned long j = 0; j < batch; j++, number++) {
            char event[EVENT_BYTES_MAX];
            size_t k = event_write(event, number);

            if (shuffled) {
                k = rotate(event, k, (unsigned)event_mix(number));
            }
            (void)printf("%s%.*s", j > 0 ? "," : "", (int)k, event);
        }
        (void)puts(batch > 1 ? "]" : "");
    }
    return 0;
}
