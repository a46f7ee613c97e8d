/*
 * mem - heap memory that is there or ends the process. All growth in sluice
 * is bounded by a limit, so running out means a mis-sized limit. Any thread.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"

/* Never NULL; n = 0 gives a unique pointer. Free with free(). */
void *mem_alloc(size_t n) MUST_USE __attribute__((malloc));
void *mem_zalloc(size_t n) MUST_USE __attribute__((malloc));
void *mem_realloc(void *p, size_t n) MUST_USE;

/* Gives freed memory back to the system. Takes milliseconds, holds up other threads'
 * allocations meanwhile: for when much was freed. */
void mem_trim(void);

/* NUL-terminated copies. */
char *mem_strdup(const char *z) MUST_USE;
char *mem_strndup(const char *p, size_t n) MUST_USE;
