#include "base/mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p, size_t n)
{
    if (UNLIKELY(p == NULL)) {
        (void)fprintf(stderr, "sluice: out of memory for %zu bytes\n", n);
        abort();
    }
    return p;
}

void *mem_alloc(size_t n)
{
    return checked(malloc(n == 0 ? 1 : n), n);
}

void *mem_zalloc(size_t n)
{
    return checked(calloc(1, n == 0 ? 1 : n), n);
}

void *mem_realloc(void *p, size_t n)
{
    return checked(realloc(p, n == 0 ? 1 : n), n);
}

void mem_trim(void)
{
    (void)malloc_trim(0);
}

char *mem_strdup(const char *z)
{
    return mem_strndup(z, strlen(z));
}

char *mem_strndup(const char *p, size_t n)
{
    char *copy = mem_alloc(n + 1);

    if (n > 0) {
        memcpy(copy, p, n);
    }
    copy[n] = '\0';
    return copy;
}
