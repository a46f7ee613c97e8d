/*
 * edit_path - values of an event by their path, with the edits made before: a change
 * below the top becomes a change of the top-level key, whose value is written again
 * with that one part replaced. Worker thread.
 */
#pragma once

#include "decode/edit.h"
#include "decode/path.h"

/* The kind of a value's JSON text. */
enum slot_kind edit_kind(struct str json);

/* The edit of a top-level key, given unescaped; NULL: none. */
const struct edit *edit_find(const struct event_batch *b, const struct event *ev,
                             struct str key);

/* The value of a top-level key, edits included; SLOT_ABSENT and value.n 0: none. */
void edit_top_value(const struct event_batch *b, const struct event *ev,
                    const struct path_part *key, struct member *m);

/* The new value of the top-level key whose value is m, in the arena; {NULL, 0}: *r
 * tells, or the arena has no room (PATH_OK). */
struct str edit_rewritten(struct event_batch *b, const struct member *m,
                          const struct path *path, struct str json,
                          enum path_result *r);

/* A value that the event has, and what it becomes: json lives as long as the request.
 * key is the top-level one as JSON text. */
struct edit_change {
    const struct path *path;
    struct str key, json;
};

enum { EDIT_CHANGES_MAX = 64 };

/* Makes all n changes: those below one top-level key write its value once, however many
 * they are. All copies of a key that stands twice are changed. False: no room, or too
 * many edits. */
bool edit_put_paths(struct event_batch *b, struct event *ev,
                    const struct edit_change *list, uint32_t n) MUST_USE;
