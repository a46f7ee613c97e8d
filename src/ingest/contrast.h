/*
 * contrast - where two policies decide otherwise about the same event. Pure.
 */
#pragma once

#include <stdint.h>

#include "decode/event.h"
#include "plan/outcome.h"
#include "plan/plan.h"

enum contrast {
    CONTRAST_NONE = 0,
    CONTRAST_ACCEPTED_REFUSED, /* the new one refuses an event that the old accepted */
    CONTRAST_REFUSED_ACCEPTED,
    CONTRAST_REFUSED_OTHERWISE, /* both, with another code */
    CONTRAST_FAILED_OTHERWISE,  /* a hook of one of them raised */
    CONTRAST_DROPPED_OTHERWISE, /* one of them samples it away */
    CONTRAST_ROUTED_OTHERWISE,  /* both store it, in other streams */
    CONTRAST_EDITED_OTHERWISE,  /* both in the same, as another line */
    N_CONTRASTS
};
extern const char *const contrast_words[N_CONTRASTS]; /* "accepted_refused" */

/* A body as one policy decided it. */
struct decided {
    const struct plan *plan;
    const struct route *route;
    const struct event_batch *batch;
    const struct outcome *outcome;
};

/* Of event i, which is in both: of several differences the first in the list. scratch:
 * for the lines of edited events; a line without room there counts as the same. */
enum contrast contrast_event(const struct decided *old, const struct decided *new_,
                             uint32_t i, struct arena *scratch);

/* The code of event i if it is refused, also because its batch is; else NULL. */
const char *contrast_code(const struct decided *d, uint32_t i);
