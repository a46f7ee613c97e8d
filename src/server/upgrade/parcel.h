/*
 * parcel - bytes on their way to another process: a file in memory whose descriptor goes
 * through a channel.
 *
 *   old   parcel_pack -> channel_say, close
 *   new   channel_hear -> parcel_open, close
 *
 * Any thread.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"

struct err;

/* The descriptor, the caller's; -1 and *e: it can't be made. */
int parcel_pack(const char *bytes, size_t n, struct err *e) MUST_USE;

/* free() it. NULL and *n = 0: there is nothing, or it can't be read. */
char *parcel_open(int fd, size_t *n) MUST_USE;
