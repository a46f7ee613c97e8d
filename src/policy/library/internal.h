/*
 * internal - the parts that the files of this room share. No other file includes it.
 */
#pragma once

#include "policy/internal.h"

/* ---- ffi.c ---- */

/* A value of an event's text for Lua; its kind. */
void ffi_give(struct sluice_context *c, enum slot_kind kind, struct str json,
              struct sluice_value *out);

/* ---- path.c ---- */

/* Sets the value at a path to json, which lies in the arena; json.p is NULL:
 * removes it. 0, or an enum ffi_refusal. */
int ffi_set_path(struct sluice_context *c, struct event *ev, struct str path,
                 struct str json);
