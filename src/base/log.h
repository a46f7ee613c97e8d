/*
 * log - lines on standard error, one write(2) each, any thread. Events are key=value
 * lines; a report about a policy's text is lines for people (log_text). Every line is
 * UTF-8 without control characters.
 *
 *   ts=2026-01-02T03:04:05.678Z level=info event=policy generation=8 status=live
 *
 * The level and the format are state of the file's own.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

enum log_level { LOG_DEBUG = 0, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level least);
bool log_level_of(const char *word,
                  enum log_level *level); /* "warn"; false: no level */
void log_set_json(bool json);             /* a JSON object a line */

/* For a server, once and before it enters its sandbox. From now on a line that standard
 * error does not take in a second is dropped: a reader that hangs holds up no start. */
void log_prepare(void);
/* From now on one that it does not take in 10 ms: it holds up no thread either. The number
 * of dropped lines is told with a later line, at most once in 10 s, and by log_end. */
void log_never_wait(void);
void log_end(void);

/* event is one word; fmt gives the rest as key=value pairs, without newline.
 * Text values go through log_quote. */
void log_write(enum log_level level, const char *event, const char *fmt, ...)
    PRINTF(3, 4);

/* A text of several lines for people, such as the problems of a policy: as it is, or
 * with log_set_json each line of it as the text of an object. */
void log_text(enum log_level level, const char *event, const char *text);

/* Quotes text for a value: "…" with \", \\ and \n escaped, valid UTF-8, cut between
 * two characters to fit; returns quoted. bytes >= 8. */
const char *log_quote(char *quoted, unsigned long bytes, const char *text);

/* The same of a text that mostly is one word, such as a path or an address: text itself if
 * it is. */
const char *log_word(char *quoted, unsigned long bytes, const char *text);
