/*
 * err - why a set-up step failed, in words for a human, no trailing period.
 * Lives on the caller's stack; any thread.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

#define ERR_TEXT_MAX 512

struct err {
    char text[ERR_TEXT_MAX]; /* NUL-terminated, cut when longer */
};

/* Replaces *e (NULL: ignored). Always returns false, so that a failing
 * function can `return err_set(e, ...)`. */
bool err_set(struct err *e, const char *fmt, ...) PRINTF(2, 3);

/* The same with ": " and strerror(errnum) after the text. */
bool err_errno(struct err *e, int errnum, const char *fmt, ...) PRINTF(3, 4);

/* Whether its words name a full disk or a full quota: such an error passes. */
bool err_no_room(const struct err *e);
