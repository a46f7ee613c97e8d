/*
 * attr - compiler annotations and the two macros that compute.
 */
#pragma once

#include <stddef.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))

/* The struct type whose member field is *ptr. */
#define OUTER(ptr, type, field) ((type *)(void *)((char *)(ptr)-offsetof(type, field)))

#define N_ELEMS(a) (sizeof(a) / sizeof((a)[0]))
