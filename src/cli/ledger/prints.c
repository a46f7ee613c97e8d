#include "cli/ledger/prints.h"

#include <stdlib.h>

#include "base/mem.h"

/* A place: 56 bits of print, then how often it was met (4 bits), accepted without being
 * confirmed (2) and confirmed (2). Each stays at its highest value. All 0: free. */
enum {
    CONFIRMED_ONE = 1,
    CONFIRMED_MAX = 3,
    OTHER_SHIFT = 2,
    OTHER_MAX = 3,
    MET_SHIFT = 4,
    MET_MAX = 15,
    PRINT_SHIFT = 8
};

struct prints {
    uint64_t *places, mask, n, max;
};

struct prints *prints_new(uint64_t max)
{
    struct prints *p = mem_zalloc(sizeof *p);
    uint64_t room = 1024;

    while (room - room / 4 < max) {
        room *= 2;
    }
    p->places = mem_zalloc(room * sizeof *p->places);
    p->mask = room - 1;
    p->max = max;
    return p;
}

void prints_free(struct prints *p)
{
    if (p != NULL) {
        free(p->places);
        free(p);
    }
}

/* Its place, or the free one where it would be. */
static uint64_t *place_of(const struct prints *p, uint64_t print)
{
    uint64_t i = print & p->mask;

    while (p->places[i] != 0 && p->places[i] >> PRINT_SHIFT != print) {
        i = (i + 1) & p->mask;
    }
    return &p->places[i];
}

bool prints_expect(struct prints *p, uint64_t print, bool confirmed)
{
    uint64_t *at = place_of(p, print);
    const unsigned shift = confirmed ? 0 : OTHER_SHIFT;

    if (*at == 0 && p->n == p->max) {
        return false;
    }
    if (*at == 0) {
        p->n++;
        *at = print << PRINT_SHIFT;
    }
    if ((*at >> shift & CONFIRMED_MAX) < CONFIRMED_MAX) {
        *at += (uint64_t)CONFIRMED_ONE << shift;
    }
    return true;
}

bool prints_meet(struct prints *p, uint64_t print)
{
    uint64_t *at = place_of(p, print);

    if (*at == 0) {
        return false;
    }
    if ((*at >> MET_SHIFT & MET_MAX) < MET_MAX) {
        *at += 1u << MET_SHIFT;
    }
    return true;
}

void prints_each_suspect(const struct prints *p, prints_fn *fn, void *arg)
{
    for (uint64_t i = 0; i <= p->mask; i++) {
        const uint64_t x = p->places[i];
        const uint64_t confirmed = x & CONFIRMED_MAX;
        const uint64_t other = x >> OTHER_SHIFT & OTHER_MAX;
        const uint64_t met = x >> MET_SHIFT & MET_MAX;

        if (x != 0 && (met < confirmed || met > confirmed + other ||
                       confirmed == CONFIRMED_MAX || other == OTHER_MAX)) {
            fn(arg, x >> PRINT_SHIFT);
        }
    }
}
