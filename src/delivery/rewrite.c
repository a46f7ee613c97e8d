/* A sink's journal written again, of the records that still count. */
#include <string.h>

#include "base/boot.h"
#include "base/err.h"
#include "base/log.h"
#include "delivery/internal.h"

/* So long it is not written again if only it knows how some events ended. */
enum { UNTOLD_MAX_BYTES = 64 << 20 };
#define UNTOLD "%s takes no record of events that are dead, skipped or lost"

struct record pump_intent(const struct delivery *d, const struct batch *b)
{
    const char *to = b->destination == NULL ? "" : b->destination;

    return (struct record){.type = RECORD_PLAN,
                           .value = b->id,
                           .time_ms = b->proven,
                           /* A text that is too long counts as unknown. */
                           .id = str_of(strlen(to) > RECORD_TEXT_MAX ? "" : to),
                           .stream = str_of(d->subscriptions[b->stream].name),
                           .name = str_of(d->name),
                           .ranges = b->ranges,
                           .n_ranges = b->n_ranges};
}

static void on_emit(void *arg, struct journal_draft *draft)
{
    struct delivery *d = arg;
    struct record head = {.type = RECORD_HEAD,
                          .value = 1,
                          .time_ms = boot_number(),
                          .id = str_of(d->name),
                          .stream = str_of(d->origin),
                          .name = str_of(spool_uuid(d->spool))};

    journal_emit(draft, &head);
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        if (d->subscriptions[i].consumer != NULL) {
            subscription_emit(&d->subscriptions[i], draft);
            subscription_emit_intents(&d->subscriptions[i], d->name, draft);
        }
    }
    for (uint32_t i = 0; i < d->n_intents; i++) {
        struct record plan = pump_intent(d, d->intents[i]);

        journal_emit(draft, &plan);
    }
    if (d->dead.kept > 0 && d->dead.kept != UINT64_MAX) {
        struct record dead = {
            .type = RECORD_DEAD, .value = d->dead.kept, .name = str_of(d->dead.mark)};

        journal_emit(draft, &dead);
    }
    if (d->ops->emit != NULL) {
        d->ops->emit(d->sink, draft);
    }
}

/* A disk without room must not keep a sink from delivering, which makes room: the
 * old journal serves as long as its own writes hold. */
bool pump_try_compact(struct delivery *d, struct err *e)
{
    const bool told = d->ops == &sink_absent || places_sync(&d->places) ||
                      journal_in_trouble(d->journal) ||
                      journal_bytes(d->journal) > UNTOLD_MAX_BYTES;
    char quoted[ERR_TEXT_MAX + 16];

    if (told ? pump_compact(d, e) : err_set(e, UNTOLD, d->places.apart.path)) {
        return true;
    }
    if (journal_poisoned(d->journal)) {
        return false;
    }
    d->compacted_bytes = journal_bytes(d->journal);
    log_write(LOG_WARN, "journal_not_rewritten", "sink=%s why=%s", d->name,
              log_quote(quoted, sizeof quoted, e->text));
    return true;
}

bool pump_compact(struct delivery *d, struct err *e)
{
    /* Without its sink the journal stays: only the sink could write its own records
     * again. */
    if (d->ops == &sink_absent) {
        return true;
    }
    (void)places_sync(&d->places);
    if (!spool_in_place(d->spool, e)) { /* its journal is not of that name */
        return false;
    }
    if (!journal_rewrite(d->journal, on_emit, d, e)) {
        return false;
    }
    d->compacted_bytes = journal_bytes(d->journal);
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        d->subscriptions[i].traced = false; /* a forgotten one is not in it */
    }
    return true;
}

bool pump_erase_traces(struct delivery *d, struct err *e)
{
    bool traced = false;

    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        traced |= d->subscriptions[i].traced;
    }
    return !traced ||
           (places_sync(&d->places) ? pump_compact(d, e)
                                    : err_set(e, UNTOLD, d->places.apart.path));
}
