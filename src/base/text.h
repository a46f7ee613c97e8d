/*
 * text - the one way in which a text leaves the process: valid UTF-8, escaped for
 * the place where it goes, cut between two characters. Pure; any thread.
 *
 * Answers, log lines, labels, dead letters and /status go through here, because
 * their texts may hold bytes of a client or words that another buffer has cut.
 * Each byte that is part of no character becomes U+FFFD.
 */
#pragma once

#include <stddef.h>

#include "base/str.h"

enum text_for {
    TEXT_PLAIN, /* nothing is escaped: for a writer that escapes by itself */
    TEXT_LINE,  /* one line: control characters, and those that turn the text after
                   them around, become spaces */
    TEXT_JSON,  /* between the quotes of a JSON string */
    TEXT_LOG,   /* between the quotes of a log value: \" \\ \n, and as TEXT_LINE */
    TEXT_LABEL  /* between the quotes of a Prometheus label: \" \\ \n, and as
                   TEXT_LINE */
};

/* The most bytes that n bytes of text become, whatever the place. */
static inline size_t text_bound(size_t n)
{
    return 6 * n;
}

/* Whether text stands in every place as it is: ASCII without a control character, a
 * quotation mark or a backslash. False also says nothing of UTF-8. */
bool text_is_plain(struct str text);

/* Writes as many whole characters of text as room bytes take; returns the bytes
 * written. No NUL is added. out and text do not overlap. */
size_t text_write(enum text_for to, struct str text, char *out, size_t room);

/* The same with a NUL after it; room >= 1. Returns out. */
char *text_z(enum text_for to, struct str text, char *out, size_t room);

/* The whole of text with a NUL after it, for free(). */
char *text_new(enum text_for to, struct str text);

/* The length of the longest prefix of text of at most max bytes that does not end
 * inside a character. */
size_t text_cut(struct str text, size_t max);
