/*
 * frame - a batch's lines as bytes that end in themselves: plain lines, one zstd
 * frame or one gzip member, so that a file of whole frames is a whole file.
 *
 *   frame_new -> frame_make* -> frame_free
 *
 * One owner. The result lives until the next call.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"
#include "plan/plan.h"

struct err;
struct frame;

struct frame *frame_new(void);
void frame_free(struct frame *f); /* NULL is fine */

/* {NULL, 0} and *e when the library refuses. */
struct str frame_make(struct frame *f, enum compress how, struct str lines,
                      struct err *e) MUST_USE;

/* Whether bytes are an output of frame_make(how): whole frames with their checksums, or
 * whole lines. For files after a power cut. */
bool frame_check(enum compress how, struct str bytes);
