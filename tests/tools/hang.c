/* LD_PRELOAD: the name "hang.test" is never resolved. */
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    int (*real)(const char *, const char *, const struct addrinfo *,
                struct addrinfo **);
    void *found = dlsym(RTLD_NEXT, "getaddrinfo");

    memcpy(&real, &found, sizeof real);
    if (node != NULL && strcmp(node, "hang.test") == 0) {
        (void)sleep(120);
    }
    return real(node, service, hints, out);
}
