/*
 * unpack - the bytes of a file, inflated by what its name ends in: .gz (gzip
 * members), .zst (zstd frames), else as they lie. A file that still grows ends in .part:
 * there a member or frame that is cut is the end.
 *
 *   unpack_open -> unpack_read* -> unpack_close
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

struct err;
struct unpack;

struct unpack *unpack_open(const char *path, struct err *e) MUST_USE;
void unpack_close(struct unpack *u);

/* Fills up to n bytes; 0 at the end; -1 and *e: the file is damaged or cut. */
ssize_t unpack_read(struct unpack *u, char *out, size_t n, struct err *e) MUST_USE;

uint64_t unpack_position(const struct unpack *u); /* bytes of the file read */
