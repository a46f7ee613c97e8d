/* LD_PRELOAD: a search for "stuck for ever" does not come back. */
#include <dlfcn.h>
#include <string.h>

void *memmem(const void *p, size_t n, const void *what, size_t k)
{
    static const char never[] = "stuck for ever";
    void *(*real)(const void *, size_t, const void *, size_t);
    void *found = dlsym(RTLD_NEXT, "memmem");

    if (k == sizeof never - 1 && memcmp(what, never, k) == 0) {
        for (volatile unsigned i = 0;; i++) {
        }
    }
    memcpy(&real, &found, sizeof real);
    return real(p, n, what, k);
}
