/*
 * named - the members of an event that the schema's paths name, and those that no path
 * does. Pure; one thread.
 *
 * A path names its value, whatever lies in it. The objects on its way are steps: of them
 * only what paths name is named. A step that is no object is not named.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "decode/event.h"

struct scan_keys;

enum { NAMED_PATH_BYTES = 256 };

/* Writes the event (an object that scan_body has checked with these keys) without the
 * members that are not named; its slots, off and len then lie in out, which is the
 * batch's next body at `at`. Returns the length, at most ev->len. */
uint32_t named_write(const struct scan_keys *k, const struct event_batch *b,
                     struct event *ev, char *out, uint32_t at);

/* Whether a member is not named: its path, cut, in *path, NUL-terminated. */
bool named_find_other(const struct scan_keys *k, const struct event_batch *b,
                      const struct event *ev, char path[NAMED_PATH_BYTES]);
