/*
 * changes - how another policy would have decided stored events, counted by kind, with
 * a few of each kind to look at. Bounded; one thread.
 *
 *   changes_new -> changes_add* -> changes_print -> changes_free
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/str.h"

enum change {
    CHANGE_REFUSED,  /* what: code, field */
    CHANGE_ACCEPTED, /* was refused or dropped by the old policy; what: why */
    CHANGE_EDITED,
    CHANGE_DROPPED,
    CHANGE_FAILED, /* the hook raises; what: message */
    CHANGE_ROUTED, /* what: from, to */
    N_CHANGES
};

struct changes;

/* samples: of each kind and cause. */
struct changes *changes_new(uint32_t samples);
void changes_free(struct changes *c);

/* One event has this change; an event may have two, of which the first says
 * fresh. after {NULL, 0}: there is none. */
void changes_add(struct changes *c, enum change kind, const char *what,
                 struct str before, struct str after, bool fresh);
void changes_seen(struct changes *c, uint64_t n); /* events compared */

uint64_t changes_events(const struct changes *c);
uint64_t changes_changed(const struct changes *c);

/* Two lines of JSON that are the same but for blanks, which an edit may drop. */
bool changes_same_line(struct str a, struct str b);

/* For people. */
void changes_print(const struct changes *c, FILE *to);
/* One JSON object: events, unchanged, changed, changes[{kind, what, events,
 * samples[{before, after}]}], and the members of `head` (a JSON object or NULL). */
void changes_print_json(const struct changes *c, const char *head, FILE *to);
