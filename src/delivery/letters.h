/*
 * letters - the files of dead letters, a line at a time.
 *
 *   letters_open -> letters_next* -> letters_close
 *   letters_new -> (letters_scan -> letters_get*)* -> letters_close
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct err;
struct letters;

/* One dead letter; views live until the next call. */
struct letter {
    struct str event;                               /* in the letter; see letter_sent */
    struct str sink, stream, reason, why, position; /* as JSON text, or {NULL, 0} */
    double code, time_ms;
    bool
        quoted; /* the event is a text here without its quotes: what was sent, escaped */
    bool base64; /* the same, in base64 */
};

/* What the client sent: an event that is not JSON stands in the letter as a text. has
 * event.n bytes; the result lies there or in the letter. */
struct str letter_sent(const struct letter *x, char *room);

struct letters *letters_open(const char *path, struct err *e) MUST_USE;
void letters_close(struct letters *l); /* NULL is fine */

/* For one command at a time; until letters_close. False and *e: another has it. */
bool letters_lock(struct letters *l, struct err *e) MUST_USE;

/* False: the end. A line that is no letter is passed over and counted; the last one may
 * lack its end. */
bool letters_next(struct letters *l, struct letter *out) MUST_USE;
uint64_t letters_bad(const struct letters *l);
uint64_t letters_refused(const struct letters *l); /* of these, records of refusals */

/* The byte after the last line that was read, letter or not; and going on from such
 * a byte. */
uint64_t letters_at(const struct letters *l);
bool letters_go_to(struct letters *l, uint64_t at, struct err *e) MUST_USE;
bool letters_are(const struct letters *l, const char *path); /* that file */
uint64_t letters_bytes(const struct letters *l); /* of the file now; 0: unknown */

/* After the last: a part of a line is left, which is being written or was cut. */
bool letters_cut(const struct letters *l);

/* After the last: false and *e when the file could not be read to its end. */
bool letters_ended(const struct letters *l, struct err *e) MUST_USE;

/* Of lines that the caller has read. */
struct letters *letters_new(struct err *e) MUST_USE;

/* How many lines there are, each letter or not; 64 readable bytes lie after them,
 * and they stay while letters are asked for. */
uint32_t letters_scan(struct letters *l, struct str lines) MUST_USE;

/* The letter of line i; false: the line is not a letter. */
bool letters_get(const struct letters *l, uint32_t i, struct letter *out) MUST_USE;
/* Line i, which is JSON or not. */
struct str letters_line(const struct letters *l, uint32_t i);
