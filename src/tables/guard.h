/*
 * guard - mapped files that may stop being readable: they are cut by somebody, or their
 * disk returns an error. The kernel tells that by SIGBUS at the access.
 *
 *   guard_add (after mmap) -> guard_thread (each thread) -> reads -> guard_damaged? ->
 *   guard_remove (before munmap)
 *
 * The page reads as zeros from then on, and guard_damaged is true, so that a reader looks
 * at it behind its reads. A SIGBUS elsewhere ends the process as ever. State of the file's
 * own, because a signal's handler has no argument.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

enum { GUARDS_MAX = 256 };

/* -1: there are GUARDS_MAX. Any thread. */
int guard_add(const void *base, size_t bytes) MUST_USE;
void guard_remove(int guard);

/* Before the calling thread reads: it may have the signal blocked, and would end the
 * process. A system call the first time, nothing later. */
void guard_thread(void);

bool guard_damaged(int guard);
