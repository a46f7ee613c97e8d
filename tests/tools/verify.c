/*
 * verify - compares acknowledged events with those that arrived.
 *
 *   zstdcat archive/... | verify ACKS [POISON [POISON_BYTES]]
 *
 * ACKS has lines "first n" (load's, as what is poison). Standard input has an event a
 * line; a field that the policy appended (received_at) is cut before the comparison.
 * Prints one line of key=value pairs; exits 1 when an acknowledged event is missing, or
 * any event is there twice or torn.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"

enum { ACKED = 128, COUNT = 127 };

static unsigned char *seen; /* by number: ACKED | how often it was found */
static uint64_t room;

static void reserve(uint64_t n)
{
    if (n >= room) {
        uint64_t more = 2 * n + 1024;

        seen = realloc(seen, more);
        memset(seen + room, 0, more - room);
        room = more;
    }
}

static uint64_t read_acks(const char *path)
{
    FILE *f = fopen(path, "r");
    unsigned long first, n;
    uint64_t acked = 0;

    if (f == NULL) {
        perror(path);
        exit(2);
    }
    while (fscanf(f, "%lu %lu\n", &first, &n) == 2) {
        reserve(first + n);
        for (unsigned long i = first; i < first + n; i++) {
            acked += (seen[i] & ACKED) == 0;
            seen[i] |= ACKED;
        }
    }
    (void)fclose(f);
    return acked;
}

/* The number of a whole event; 0: torn. */
static uint64_t number_of(const char *line, size_t len)
{
    static const char head[] = "{\"event_id\":\"e-";
    static char *want;
    uint64_t n;
    size_t k;

    if (want == NULL) {
        want = malloc(EVENT_BYTES_MAX + event_poison_bytes);
    }
    if (len < sizeof head || strncmp(line, head, sizeof head - 1) != 0) {
        return 0;
    }
    n = strtoull(line + sizeof head - 1, NULL, 10);
    k = event_write(want, n);
    if (len < k || line[len - 1] != '}' || memcmp(line, want, k - 1) != 0 ||
        (len > k && strncmp(line + k - 1, ",\"received_at\":", 15) != 0)) {
        return 0;
    }
    return n;
}

int main(int argc, char **argv)
{
    uint64_t acked, lines = 0, torn = 0, missing = 0, twice = 0, extra = 0, copies = 0;
    char *line = NULL;
    size_t space = 0;
    ssize_t len;

    if (argc < 2 || argc > 4) {
        return 2;
    }
    event_poison_every = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    event_poison_bytes = argc > 3 ? strtoul(argv[3], NULL, 10) : event_poison_bytes;
    acked = read_acks(argv[1]);
    while ((len = getline(&line, &space, stdin)) > 0) {
        uint64_t n = line[len - 1] == '\n' ? number_of(line, (size_t)len - 1) : 0;

        lines++;
        if (n == 0) {
            torn++;
            continue;
        }
        reserve(n + 1);
        seen[n] = (unsigned char)(seen[n] + ((seen[n] & COUNT) < COUNT));
    }
    for (uint64_t i = 0; i < room; i++) {
        missing += seen[i] == ACKED;
        twice += (seen[i] & COUNT) > 1;
        copies += (seen[i] & COUNT) > 1 ? (seen[i] & COUNT) - 1u : 0;
        extra += (seen[i] & COUNT) > 0 && (seen[i] & ACKED) == 0;
    }
    (void)printf("acked=%lu found=%lu missing=%lu twice=%lu torn=%lu "
                 "unacked=%lu copies=%lu\n",
                 (unsigned long)acked, (unsigned long)lines, (unsigned long)missing,
                 (unsigned long)twice, (unsigned long)torn, (unsigned long)extra,
                 (unsigned long)copies);
    free(line);
    free(seen);
    return missing > 0 || twice > 0 || torn > 0 ? 1 : 0;
}
