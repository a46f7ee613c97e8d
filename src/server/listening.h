/*
 * listening - the sockets that clients connect to, as a policy names them.
 *
 *   listening_of -> listening_open -> listening_close
 *
 * The supervisor's thread; the descriptors go to the workers, which only accept. Opened
 * before any worker starts, while the process still has the rights that it began with.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "net/unix_socket.h"
#include "plan/plan.h"

struct err;
struct place;

enum { LISTENING_TEXT = 128, LISTENING_OWNER = 72, LISTENINGS_TEXT = 1024 };

/* One listener. A TCP address has a socket for each worker, which share its port; of
 * another there is one, from which all workers accept. */
struct listening {
    char
        address[LISTENING_TEXT]; /* as the policy or the command names it; "": it is not
                                     opened */
    char bound[LISTENING_TEXT];  /* with its port, once it is open */
    uint32_t mode;
    char user[LISTENING_OWNER], group[LISTENING_OWNER]; /* "": those of the process */
    int *fds; /* of each worker; NULL: not open */
    uint32_t n_fds;
    struct unix_socket local; /* whose descriptor fds have; path "": another kind */
    bool own;                 /* each of fds is a socket of its own */
    uint32_t nth; /* of several with this address, which has port 0; from 0 */
    bool admin;   /* not for clients */
    bool tls;
};

struct listenings {
    struct listening list[PLAN_LISTENERS_MAX];
    uint32_t n;
    bool share_port; /* with another server */
};

void listening_of(struct listening *x, const struct listener_plan *p,
                  const char *override);
/* Those of a plan; override: the address instead of the first one's, or NULL. */
void listenings_of(struct listenings *l, const struct plan *plan, const char *override);

/* False: *e names the address and why, and none is open. place: sockets of a process
 * before are used again, and not opened; NULL: there are none. */
bool listenings_open(struct listenings *l, uint32_t n_workers, struct place *place,
                     struct err *e) MUST_USE;
void listenings_close(struct listenings *l);
/* Leaves the sockets to another process; those of Unix keep their files. */
void listenings_leave(struct listenings *l, struct place *place);

/* This process serves: it removes the files of its Unix sockets at the end, also of those
 * that it has from place; who waits at sockets there that it did not take is let in, as
 * place's connections, where another listener would. */
void listenings_settle(struct listenings *l, struct listening *admin,
                       struct place *place);

/* The one that a client of the connection fd would come to now; NULL: none. */
const struct listening *listenings_at(const struct listenings *l, int fd);

/* "127.0.0.1:8080,unix:/run/in.sock" of those that are open. */
void listenings_show(const struct listenings *l, char *out, size_t n);

/* One socket for a server of one thread, as the admin listener is. */
bool listening_open_one(struct listening *x, struct place *place,
                        struct err *e) MUST_USE;
void listening_close(struct listening *x);
void listening_leave(struct listening *x, struct place *place);

/* The name by which another process finds the sockets of x, and their connections; and
 * how many sockets there are. */
enum { LISTENING_KEY = LISTENING_TEXT + 24 };
void listening_key(const struct listening *x, char key[LISTENING_KEY]);
uint32_t listening_sockets(const struct listening *x);
