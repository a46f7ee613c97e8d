/*
 * mallocs - preloaded: counts heap allocations of the process in a file, eight
 * bytes in the machine's order, so that a test can read it at any moment.
 *
 *   LD_PRELOAD=libmallocs.so SLUICE_MALLOCS=FILE build/sluice run POLICY
 *
 * LuaJIT's states allocate by way of realloc (policy/run/state.c), so that they are
 * counted too; machine code of traces, which is mapped, is not.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

static _Atomic uint64_t before_start;
static _Atomic uint64_t *counter = &before_start;

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("SLUICE_MALLOCS");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT, 0600);
    void *p;

    if (fd >= 0 && ftruncate(fd, 4096) == 0) {
        p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p != MAP_FAILED) {
            counter = p;
        }
    }
}

void *malloc(size_t n)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return __libc_realloc(p, n);
}
