#include "ingest/contrast.h"

#include <string.h>

#include "base/arena.h"
#include "decode/edit.h"
#include "ingest/stored_event.h"

const char *const contrast_words[N_CONTRASTS] = {
    [CONTRAST_NONE] = "same",
    [CONTRAST_ACCEPTED_REFUSED] = "accepted_refused",
    [CONTRAST_REFUSED_ACCEPTED] = "refused_accepted",
    [CONTRAST_REFUSED_OTHERWISE] = "refused_otherwise",
    [CONTRAST_FAILED_OTHERWISE] = "failed_otherwise",
    [CONTRAST_DROPPED_OTHERWISE] = "dropped_otherwise",
    [CONTRAST_ROUTED_OTHERWISE] = "routed_otherwise",
    [CONTRAST_EDITED_OTHERWISE] = "edited_otherwise"};

static const struct event *event_of(const struct decided *d, uint32_t i)
{
    return &d->batch->events[i];
}

const char *contrast_code(const struct decided *d, uint32_t i)
{
    const struct event *ev = event_of(d, i);

    if (ev->fate == EVENT_REJECT) {
        return ev->code;
    }
    /* partial = false: the others of its batch went with the bad one. */
    return d->outcome->store ? NULL : "batch_refused";
}

static bool has_stream(const struct decided *d, uint64_t streams, const char *name)
{
    for (; streams != 0; streams &= streams - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(streams);

        if (strcmp(d->plan->streams[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* By name: the same stream may have another place in another plan. */
static bool same_streams(const struct decided *a, const struct decided *b, uint32_t i)
{
    uint64_t x = stored_event_streams(a->route, event_of(a, i), -1);
    uint64_t y = stored_event_streams(b->route, event_of(b, i), -1);

    if (__builtin_popcountll(x) != __builtin_popcountll(y)) {
        return false;
    }
    for (; x != 0; x &= x - 1) {
        uint32_t s = (uint32_t)__builtin_ctzll(x);

        if (!has_stream(b, y, a->plan->streams[s].name)) {
            return false;
        }
    }
    return true;
}

static struct str line_of(const struct decided *d, uint32_t i, struct arena *scratch)
{
    char *out = arena_alloc(scratch, stored_event_bound(d->batch, event_of(d, i)));

    if (out == NULL) {
        return (struct str){NULL, 0};
    }
    return (struct str){out, edit_splice(d->batch, event_of(d, i), out)};
}

static bool same_line(const struct decided *a, const struct decided *b, uint32_t i,
                      struct arena *scratch)
{
    struct str x, y;

    /* Both have the client's own bytes. */
    if (event_of(a, i)->n_edits == 0 && event_of(b, i)->n_edits == 0) {
        return true;
    }
    x = line_of(a, i, scratch);
    y = line_of(b, i, scratch);
    return x.p == NULL || y.p == NULL || str_eq(x, y);
}

enum contrast contrast_event(const struct decided *old, const struct decided *new_,
                             uint32_t i, struct arena *scratch)
{
    const char *before = contrast_code(old, i), *after = contrast_code(new_, i);
    uint32_t was = event_of(old, i)->fate, is = event_of(new_, i)->fate;

    if (before != NULL && after != NULL) {
        return strcmp(before, after) == 0 ? CONTRAST_NONE : CONTRAST_REFUSED_OTHERWISE;
    }
    if (before != NULL || after != NULL) {
        return before == NULL ? CONTRAST_ACCEPTED_REFUSED : CONTRAST_REFUSED_ACCEPTED;
    }
    if (was != is) {
        return was == EVENT_DEAD || is == EVENT_DEAD ? CONTRAST_FAILED_OTHERWISE
                                                     : CONTRAST_DROPPED_OTHERWISE;
    }
    if (was != EVENT_ACCEPT) {
        return CONTRAST_NONE;
    }
    if (!same_streams(old, new_, i)) {
        return CONTRAST_ROUTED_OTHERWISE;
    }
    return same_line(old, new_, i, scratch) ? CONTRAST_NONE : CONTRAST_EDITED_OTHERWISE;
}
