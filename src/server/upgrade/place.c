#include "server/upgrade/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "policy/load/load.h"

void place_init(struct place *p)
{
    *p = (struct place){.channel = -1, .link = -1};
}

void place_fini(struct place *p)
{
    if (p->channel >= 0) {
        (void)close(p->channel);
    }
    for (uint32_t i = 0; i < p->n_sockets; i++) {
        if (p->sockets[i].fd >= 0) {
            (void)close(p->sockets[i].fd);
        }
    }
    for (uint32_t i = 0; i < p->n_connections; i++) {
        http_handed_drop(&p->connections[i].conn);
    }
    free(p->sockets);
    free(p->connections);
    policy_unref(p->policy);
    *p = (struct place){.channel = -1, .below = p->below, .link = p->link};
}

void place_socket(struct place *p, const char *address, int fd)
{
    p->sockets = mem_realloc(p->sockets, (p->n_sockets + 1) * sizeof *p->sockets);
    p->sockets[p->n_sockets] = (struct place_socket){.fd = fd};
    (void)snprintf(p->sockets[p->n_sockets].address, PLACE_ADDRESS, "%s", address);
    p->n_sockets++;
}

void place_connection(struct place *p, const char *listener,
                      const struct http_handed *h)
{
    if (p->n_connections == p->room) {
        p->room = p->room == 0 ? 64 : p->room * 2;
        p->connections = mem_realloc(p->connections, p->room * sizeof *p->connections);
    }
    p->connections[p->n_connections] = (struct place_connection){.conn = *h};
    (void)snprintf(p->connections[p->n_connections].listener, PLACE_ADDRESS, "%s",
                   listener);
    p->n_connections++;
}

void place_accepted(struct place *p, const char *listener, int fd)
{
    struct http_handed h = {.fd = fd};
    struct sockaddr_storage sa = {0};
    socklen_t n = sizeof sa;

    if (getpeername(fd, (struct sockaddr *)&sa, &n) != 0) {
        (void)close(fd); /* it has gone */
        return;
    }
    h.who = peer_of(&sa);
    peer_show(&sa, h.peer, sizeof h.peer);
    place_connection(p, listener, &h);
}

int place_take_socket(struct place *p, const char *address)
{
    for (uint32_t i = 0; i < p->n_sockets; i++) {
        int fd = p->sockets[i].fd;

        if (fd >= 0 && strcmp(p->sockets[i].address, address) == 0) {
            p->sockets[i].fd = -1;
            return fd;
        }
    }
    return -1;
}
