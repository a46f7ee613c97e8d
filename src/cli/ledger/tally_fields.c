/* In which fields the events of a ledger have their ids. */
#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "cli/ledger/show.h"
#include "cli/ledger/tallies.h"

/* "FIELD" (MINUTE to MINUTE), ... */
static void name_fields(const struct tallies *t, bool whole, char *out, size_t max)
{
    size_t n = 0;

    out[0] = '\0';
    for (uint32_t i = 0; i < t->index.n_fields && n < max; i++) {
        const struct tally_field *f = &t->by_field[i];
        char since[24], last[24];

        if ((whole ? f->n : f->n_period) == 0) {
            continue;
        }
        show_minute(since, f->oldest_ms);
        show_minute(last, f->last_ms);
        n += (size_t)snprintf(out + n, max - n, "%s\"%.60s\"", n == 0 ? "" : ", ",
                              t->index.fields[i]);
        if (!whole && n < max) {
            n += (size_t)snprintf(out + n, max - n, " (%s to %s)", since, last);
        }
    }
}

const char *tallies_field(const struct tallies *t, bool whole, struct err *e)
{
    const struct tally_field *unknown = &t->by_field[INDEX_LIST_FIELDS];
    const char *field = NULL;
    uint32_t n = 0;
    char names[400];

    if ((whole ? unknown->n : unknown->n_period) > 0) {
        (void)err_set(e,
                      "the index does not say in which field the ids of %" PRIu64
                      " events are, which a policy without an index has stored: ids "
                      "can't be compared",
                      whole ? unknown->n : unknown->n_period);
        return NULL;
    }
    for (uint32_t i = 0; i < t->index.n_fields; i++) {
        if ((whole ? t->by_field[i].n : t->by_field[i].n_period) > 0) {
            field = t->index.fields[i];
            n++;
        }
    }
    if (n > 1) {
        name_fields(t, whole, names, sizeof names);
        (void)err_set(e,
                      "events have their ids in several fields: %s: ids can't be "
                      "compared; %s",
                      names,
                      whole ? "the sink's timestamp leaves no period to be told apart"
                            : "compare a period of one field with --since and --until");
        return NULL;
    }
    return n == 0 ? t->index.fields[0] : field;
}
