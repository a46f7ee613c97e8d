#include "server/listening.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "net/listener.h"
#include "net/passed.h"
#include "server/upgrade/place.h"

static const char UNIX[] = "unix:", SYSTEMD[] = "systemd:", ADMIN[] = "admin ";

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void set(char *out, size_t n, const char *text)
{
    (void)snprintf(out, n, "%s", text == NULL ? "" : text);
}

void listening_of(struct listening *x, const struct listener_plan *p,
                  const char *override)
{
    *x =
        (struct listening){.mode = p->mode, .local = {.fd = -1}, .tls = p->tls != NULL};
    set(x->address, sizeof x->address, override != NULL ? override : p->address);
    set(x->user, sizeof x->user, p->user);
    set(x->group, sizeof x->group, p->group);
}

void listenings_of(struct listenings *l, const struct plan *plan, const char *override)
{
    *l = (struct listenings){.n = plan->n_listeners,
                             .share_port = plan->server.share_port};
    for (uint32_t i = 0; i < l->n; i++) {
        listening_of(&l->list[i], &plan->listeners[i], i == 0 ? override : NULL);
        for (uint32_t k = 0; k < i; k++) {
            l->list[i].nth += strcmp(l->list[k].address, l->list[i].address) == 0;
        }
    }
}

void listening_key(const struct listening *x, char key[LISTENING_KEY])
{
    char nth[16] = "";

    if (x->nth > 0) {
        (void)snprintf(nth, sizeof nth, " #%u", x->nth + 1);
    }
    (void)snprintf(key, LISTENING_KEY, "%s%s%s", x->admin ? ADMIN : "", x->address,
                   nth);
}

uint32_t listening_sockets(const struct listening *x)
{
    return x->fds == NULL ? 0 : x->own ? x->n_fds : 1;
}

/* One of x that a process before has left; -1: none. */
static int inherit(struct listening *x, struct place *place)
{
    char key[LISTENING_KEY];
    int fd = -1;

    if (place != NULL) {
        listening_key(x, key);
        fd = place_take_socket(place, key);
    }
    if (fd >= 0 && !listener_show(fd, x->bound, sizeof x->bound)) {
        set(x->bound, sizeof x->bound, x->address);
    }
    return fd;
}

/* Sockets of workers that this process does not have: who waits in their queues is let
 * in first. */
static void close_rest(struct listening *x, struct place *place)
{
    char key[LISTENING_KEY];
    int fd, waits;

    listening_key(x, key);
    while ((fd = inherit(x, place)) >= 0) {
        while ((waits = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
            place_accepted(place, key, waits);
        }
        (void)close(fd);
    }
}

static bool open_local(struct listening *x, struct place *place, struct err *e)
{
    int inherited = inherit(x, place);

    const struct unix_rights rights = {.mode = (mode_t)x->mode,
                                       .user = x->user[0] == '\0' ? NULL : x->user,
                                       .group = x->group[0] == '\0' ? NULL : x->group};

    if (inherited >= 0) {
        unix_socket_adopt(x->address + strlen(UNIX), inherited, &x->local);
    } else if (!unix_socket_open(x->address + strlen(UNIX), &rights, &x->local, e)) {
        return false;
    }
    x->fds[0] = x->local.fd;
    set(x->bound, sizeof x->bound, x->address);
    return true;
}

/* The port of "127.0.0.1:8080"; "": it has none. */
static const char *port_of(const char *address)
{
    const char *colon = strrchr(address, ':');

    return colon == NULL ? "" : colon + 1;
}

/* Sockets of a process before, of another address, that share the port: they are closed
 * once this one serves. */
static bool shares_port(const struct listening *x, const struct place *place)
{
    for (uint32_t i = 0; place != NULL && i < place->n_sockets; i++) {
        char bound[LISTENING_TEXT];

        if (place->sockets[i].fd >= 0 &&
            begins(place->sockets[i].address, ADMIN) == x->admin &&
            listener_show(place->sockets[i].fd, bound, sizeof bound) &&
            !begins(bound, UNIX) && strcmp(port_of(bound), port_of(x->address)) == 0) {
            return true;
        }
    }
    return false;
}

/* With port 0 the first finds the port and the others follow. */
static bool open_tcp(struct listening *x, bool share_port, struct place *place,
                     struct err *e)
{
    x->own = true;
    for (uint32_t i = 0; i < x->n_fds; i++) {
        x->fds[i] = inherit(x, place);
        /* The workers' sockets share the port, and would do so with another server. */
        if (x->fds[i] < 0 && i == 0 && !share_port && !shares_port(x, place) &&
            !listener_is_free(x->address, e)) {
            return false;
        }
        if (x->fds[i] < 0) {
            x->fds[i] = listener_open(i == 0 ? x->address : x->bound, true, x->bound,
                                      sizeof x->bound, e);
        }
        if (x->fds[i] < 0) {
            return false;
        }
    }
    close_rest(x, place);
    return true;
}

static bool open_passed(struct listening *x, struct place *place, struct err *e)
{
    x->fds[0] = inherit(x, place);
    if (x->fds[0] < 0) {
        x->fds[0] =
            passed_open(x->address + strlen(SYSTEMD), x->bound, sizeof x->bound, e);
    }
    return x->fds[0] >= 0;
}

/* The first descriptor is that of all workers. */
static bool open_one(struct listening *x, bool share_port, uint32_t n,
                     struct place *place, struct err *e)
{
    x->n_fds = n;
    x->fds = mem_alloc(n * sizeof *x->fds);
    memset(x->fds, -1, n * sizeof *x->fds);
    if (begins(x->address, UNIX)) {
        if (!open_local(x, place, e)) {
            return false;
        }
    } else if (begins(x->address, SYSTEMD)) {
        if (!open_passed(x, place, e)) {
            return false;
        }
    } else {
        return open_tcp(x, share_port, place, e);
    }
    for (uint32_t i = 1; i < n; i++) {
        x->fds[i] = x->fds[0];
    }
    return true;
}

bool listening_open_one(struct listening *x, struct place *place, struct err *e)
{
    if (open_one(x, false, 1, place, e)) {
        return true;
    }
    listening_close(x);
    return false;
}

bool listenings_open(struct listenings *l, uint32_t n_workers, struct place *place,
                     struct err *e)
{
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->list[i].address[0] != '\0' &&
            !open_one(&l->list[i], l->share_port, n_workers, place, e)) {
            listenings_close(l);
            return false;
        }
    }
    return true;
}

void listening_close(struct listening *x)
{
    if (x->fds == NULL) {
        return;
    }
    if (x->local.fd >= 0) {
        unix_socket_close(&x->local);
        x->fds[0] = -1;
    }
    for (uint32_t i = 0; i < listening_sockets(x); i++) {
        if (x->fds[i] >= 0) {
            (void)close(x->fds[i]);
        }
    }
    free(x->fds);
    x->fds = NULL;
    x->own = false;
}

void listenings_close(struct listenings *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        listening_close(&l->list[i]);
    }
}

void listening_leave(struct listening *x, struct place *place)
{
    char key[LISTENING_KEY];

    listening_key(x, key);
    for (uint32_t i = 0; i < listening_sockets(x); i++) {
        if (x->fds[i] >= 0) {
            place_socket(place, key, x->fds[i]);
        }
    }
    free(x->fds);
    x->fds = NULL;
    x->own = false;
    x->local.fd = -1;
}

void listenings_leave(struct listenings *l, struct place *place)
{
    for (uint32_t i = 0; i < l->n; i++) {
        listening_leave(&l->list[i], place);
    }
}

/* Whether a client that connects to local ("127.0.0.1:8080") comes to x. */
static bool covers(const struct listening *x, const char *local)
{
    const char *host = x->bound;
    bool four = local[0] != '[' || begins(local, "[::ffff:");

    if (x->fds == NULL || !x->own || strcmp(port_of(host), port_of(local)) != 0) {
        return false;
    }
    return strcmp(host, local) == 0 || begins(host, "[::]:") || begins(host, "*:") ||
           (begins(host, "0.0.0.0:") && four);
}

const struct listening *listenings_at(const struct listenings *l, int fd)
{
    char local[LISTENING_TEXT];

    for (uint32_t i = 0; i < l->n && listener_show(fd, local, sizeof local); i++) {
        if (covers(&l->list[i], local)) {
            return &l->list[i];
        }
    }
    return NULL;
}

/* Who waits at a socket that there is no more, and would come to another one now. */
static void let_in(const struct listenings *l, int fd, struct place *place)
{
    const struct listening *x;
    char key[LISTENING_KEY];
    int waits;

    while ((waits = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        x = listenings_at(l, waits);
        if (x != NULL) {
            listening_key(x, key);
            place_accepted(place, key, waits);
        } else {
            (void)close(waits);
        }
    }
}

/* The address of a key. */
static const char *address_of(const char *key)
{
    return begins(key, ADMIN) ? key + sizeof ADMIN - 1 : key;
}

void listenings_settle(struct listenings *l, struct listening *admin,
                       struct place *place)
{
    struct unix_socket left;

    unix_socket_own(&admin->local);
    for (uint32_t i = 0; i < l->n; i++) {
        unix_socket_own(&l->list[i].local);
    }
    for (uint32_t i = 0; i < place->n_sockets; i++) {
        const char *address = address_of(place->sockets[i].address);
        int fd = place->sockets[i].fd;

        place->sockets[i].fd = -1;
        if (fd >= 0 && begins(address, UNIX)) {
            unix_socket_adopt(address + sizeof UNIX - 1, fd, &left);
            unix_socket_own(&left);
            unix_socket_close(&left);
        } else if (fd >= 0) {
            if (address == place->sockets[i].address) { /* not the admin's */
                let_in(l, fd, place);
            }
            (void)close(fd);
        }
    }
}

void listenings_show(const struct listenings *l, char *out, size_t n)
{
    size_t at = 0;

    out[0] = '\0';
    for (uint32_t i = 0; i < l->n && at < n; i++) {
        if (l->list[i].fds != NULL) {
            at += (size_t)snprintf(out + at, n - at, "%s%s", at == 0 ? "" : ",",
                                   l->list[i].bound);
        }
    }
}
