/*
 * edit - keys of an event replaced, added or removed by a hook or by the route,
 * spliced into the raw slice when the event is stored. Worker thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"
#include "decode/event.h"

enum { EVENT_EDITS_MAX = 32 };

/* Records a change of key for event ev of b; key is unescaped text (a top-level
 * key), value is JSON text (EDIT_REMOVE: ignored); both are copied to b->arena. A
 * later change of the same key replaces the earlier. False when the event has
 * EVENT_EDITS_MAX edits or the arena is full. */
bool edit_set(struct event_batch *b, struct event *ev, struct str key, struct str value,
              enum edit_how how) MUST_USE;

/* The same for texts that outlive the request: the key as JSON text, with its
 * quotes. */
bool edit_put(struct event_batch *b, struct event *ev, struct str key, struct str value,
              enum edit_how how) MUST_USE;

/* Takes back the edits of ev since b->n_base was set to b->n_edits. */
void edits_revert(struct event_batch *b, struct event *ev);

/* Whether the client sent the top-level key (JSON text, with its quotes). */
bool edit_has_key(const struct event_batch *b, const struct event *ev, struct str key);

/* The most bytes that edit_splice may write for ev. */
size_t edit_bound(const struct event_batch *b, const struct event *ev);

/* Writes ev's JSON on one line to out (edit_bound bytes): edited keys replaced
 * where they stand, new ones added at the end, raw newlines as spaces. Also for
 * events without edits. Returns the length; no trailing newline. */
size_t edit_splice(const struct event_batch *b, const struct event *ev, char *out);

/* The same, and whether all that was sent stands where it stood, edits only after
 * it: then the places of its slots hold in out, too. */
size_t edit_splice_kept(const struct event_batch *b, const struct event *ev, char *out,
                        bool *kept);
