/*
 * write - all bytes of a write, whatever part of it one call takes. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/attr.h"

struct err;

/* A call that is interrupted that often in a row, without one byte written, has
 * failed: the caller waits before it tries again. */
enum { WRITE_INTERRUPTED_MAX = 100 };

/* Writes the n bytes at p to offset at. False and errno: a part of them may have been
 * written. Blocks while the disk does. */
bool write_at(int fd, const void *p, size_t n, uint64_t at) MUST_USE;

/* As fopen with the mode "w", "wx" or "a"; but nobody outside of the group can read a file
 * that it makes, whatever the umask is. NULL: errno says why. */
FILE *write_stream(const char *path, const char *mode) MUST_USE;

/* The file of that path has the n bytes, or is as it was, also after a power cut: they are
 * written beside it (PATH.new) and take its name on stable storage. Nobody outside of the
 * group can read it. False and *e: the file is not there, or is as before, or its new name
 * may not outlive a power cut. Blocks while the disk does. */
bool write_replace(const char *path, const void *p, size_t n, struct err *e) MUST_USE;
