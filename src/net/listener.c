#include "net/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"

/* Answers are small; the kernel would let a client that reads none pile up megabytes
 * of them. Inherited by the connections. */
enum { SEND_BUFFER_BYTES = 128 << 10 };

enum { HOST_BYTES = 256, PORT_MAX = 65535, PORT_DIGITS = 5 };

/* getaddrinfo would take 99999 for 34463. */
static bool is_port(const char *text)
{
    size_t n = strspn(text, "0123456789");

    return n > 0 && n <= PORT_DIGITS && text[n] == '\0' &&
           strtoul(text, NULL, 10) <= PORT_MAX;
}

/* "host:port" in two; the brackets of an IPv6 address go. */
static bool split(const char *addr, char *host, const char **port, struct err *e)
{
    const char *colon = strrchr(addr, ':');
    size_t n;

    if (colon == NULL || !is_port(colon + 1)) {
        return err_set(e, "\"%s\" is not an address such as \"127.0.0.1:8080\"", addr);
    }
    n = (size_t)(colon - addr);
    if (n >= 2 && addr[0] == '[' && addr[n - 1] == ']') {
        addr++;
        n -= 2;
    }
    if (n >= HOST_BYTES) {
        return err_set(e, "the host of the address is too long");
    }
    if (n == 1 && addr[0] == '*') {
        n = 0;
    }
    memcpy(host, addr, n);
    host[n] = '\0';
    *port = colon + 1;
    return true;
}

bool listener_is_address(const char *addr, struct err *e)
{
    char host[HOST_BYTES];
    const char *port;

    return split(addr, host, &port, e);
}

bool listener_show(int fd, char *bound, size_t bound_bytes)
{
    struct sockaddr_storage sa = {0};
    const struct sockaddr_un *un = (const void *)&sa;
    socklen_t n = sizeof sa;
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0) {
        return false;
    }
    if (sa.ss_family == AF_UNIX) {
        (void)snprintf(bound, bound_bytes, "unix:%.*s", (int)sizeof un->sun_path,
                       un->sun_path);
        return true;
    }
    if (getnameinfo((struct sockaddr *)&sa, n, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return false;
    }
    (void)snprintf(bound, bound_bytes, sa.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
                   host, port);
    return true;
}

/* "::" is every address of both families, whatever the system's default. */
static void serve_both(int fd, const struct addrinfo *a)
{
    const struct sockaddr_in6 *sa = (const void *)a->ai_addr;
    int off = 0;

    if (a->ai_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&sa->sin6_addr)) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
}

static int open_one(const struct addrinfo *a, bool reuseport)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    a->ai_protocol);
    int on = 1, bytes = SEND_BUFFER_BYTES;

    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    serve_both(fd, a);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        (!reuseport || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0) &&
        bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0) {
        return fd;
    }
    on = errno;
    (void)close(fd);
    errno = on;
    return -1;
}

int listener_open(const char *addr, bool reuseport, char *bound, size_t bound_bytes,
                  struct err *e)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list;
    char host[HOST_BYTES];
    const char *port = NULL;
    int rc, fd = -1;

    if (!split(addr, host, &port, e)) {
        return -1;
    }
    rc = getaddrinfo(host[0] == '\0' ? NULL : host, port, &hints, &list);
    if (rc != 0) {
        (void)err_set(e, "can't listen on %s: %s", addr, gai_strerror(rc));
        return -1;
    }
    /* All addresses: IPv6's socket serves both families, if there is IPv6. */
    for (struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
        if (host[0] == '\0' && a->ai_family == AF_INET6) {
            fd = open_one(a, reuseport);
        }
    }
    for (struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
        fd = open_one(a, reuseport);
    }
    if (fd < 0) {
        (void)err_errno(e, errno, "can't listen on %s", addr);
    }
    freeaddrinfo(list);
    if (fd >= 0 && !listener_show(fd, bound, bound_bytes)) {
        (void)err_errno(e, errno, "can't read the address of the socket");
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

bool listener_is_free(const char *addr, struct err *e)
{
    char bound[NI_MAXHOST + NI_MAXSERV];
    /* Without SO_REUSEPORT the kernel refuses a port that anybody listens on. */
    int fd = listener_open(addr, false, bound, sizeof bound, e);

    if (fd < 0) {
        return false;
    }
    (void)close(fd);
    return true;
}
