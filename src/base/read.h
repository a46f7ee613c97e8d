/*
 * read - the bytes of a file from an offset, in as many calls as it takes. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

/* A call that is interrupted that often in a row, without one byte read, has failed:
 * the caller waits before it tries again. */
enum { READ_INTERRUPTED_MAX = 100 };

/* Reads n bytes at offset at into p. Returns how many: fewer where the file ends. -1
 * and errno: the read failed, which says nothing about the file. Blocks while the disk
 * does. */
ssize_t read_at(int fd, void *p, size_t n, uint64_t at) MUST_USE;
