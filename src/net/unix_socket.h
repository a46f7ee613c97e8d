/*
 * unix_socket - a listening Unix socket and the file that clients name.
 *
 *   unix_socket_open -> unix_socket_close
 *
 * The supervisor's thread. A file that is in the way is removed only if it is a socket on
 * which no process listens; the folder is locked meanwhile, so that two starts do not
 * remove each other's.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/attr.h"

struct err;

enum { UNIX_PATH_BYTES = sizeof(((struct sockaddr_un *)NULL)->sun_path) };

struct unix_socket {
    int fd; /* -1: none */
    char path[UNIX_PATH_BYTES];
    dev_t dev; /* of the file that was made */
    ino_t ino;
};

struct unix_rights {
    mode_t mode;
    const char *user, *group; /* names or numbers; NULL: those of the process */
};

/* path is absolute. Non-blocking. No client can connect before the file has its rights.
 * False: *e names the path and the reason, and s->fd is -1. */
bool unix_socket_open(const char *path, const struct unix_rights *r,
                      struct unix_socket *s, struct err *e) MUST_USE;

/* Gives the file of an open one other rights, if it is still the one that was made and has
 * not got them; without a name its owner stays. False: *e. */
bool unix_socket_rights(const struct unix_socket *s, const struct unix_rights *r,
                        struct err *e) MUST_USE;

/* A socket for fd, which another process opened and has handed over. That one may
 * need the file again: it stays at the close, unless unix_socket_own was called. */
void unix_socket_adopt(const char *path, int fd, struct unix_socket *s);
void unix_socket_own(struct unix_socket *s);

/* Closes it, and removes its file if that is still the one that was made. */
void unix_socket_close(struct unix_socket *s);
