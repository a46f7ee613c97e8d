/*
 * guess - the identity of a segment whose first page is damaged: its name gives the
 * number, its first block the salt, which must be the page's, or that of a later block
 * as well. Reads only; any thread.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"

struct page;

/* 0: p->number, salt and first hold; ENOENT: its blocks prove nothing; else the errno
 * of a read that failed. p: as page_decode left it. path ends in the file's name. */
int page_guess(int fd, const char *path, uint64_t size, struct page *p) MUST_USE;
