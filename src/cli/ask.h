/*
 * ask - questions and orders to a running server, by its admin listener.
 *
 *   ask_option while the arguments are read -> ask_open -> ask_send* -> ask_close
 *
 * One thread. A request has a deadline; the token is in no argument and no message.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct err;

struct ask_options {
    const char *admin, *spool, *token_file, *cacert; /* NULL: not given */
};

/* For getopt_long: those of commands_asking(). */
enum { ASK_ADMIN = 1000, ASK_SPOOL, ASK_TOKEN_FILE, ASK_CACERT };
#define ASK_GETOPT                                                                     \
    {"admin", required_argument, NULL, ASK_ADMIN},                                     \
        {"spool", required_argument, NULL, ASK_SPOOL},                                 \
        {"token-file", required_argument, NULL, ASK_TOKEN_FILE},                       \
    {                                                                                  \
        "cacert", required_argument, NULL, ASK_CACERT                                  \
    }

/* False: o is another option. */
bool ask_option(struct ask_options *a, int o, const char *value) MUST_USE;

struct ask;

/* NULL and *e: no server is known, or its token can't be read. Finds it by the first of
 * --admin, --spool, SLUICE_ADMIN, the note in data/spool, 127.0.0.1:9100. */
struct ask *ask_open(const struct ask_options *o, struct err *e) MUST_USE;
void ask_close(struct ask *a); /* NULL is fine */

struct ask_answer {
    long status;
    const char *text; /* NUL-terminated; until the next request */
    size_t n;
};

/* False and *e: no server answers, within timeout_ms. path: with its query. A server that
 * was found by its note is followed to the address that it has noted since. */
bool ask_send(struct ask *a, const char *method, const char *path, long timeout_ms,
              struct ask_answer *answer, struct err *e) MUST_USE;

/* "/sinks/NAME/what" with NAME escaped. False and *e: NAME is too long for out. */
bool ask_sink_path(char *out, size_t n, const char *name, const char *what,
                   struct err *e) MUST_USE;

/* An answer without end, part by part as it comes; fn returns false once it has enough.
 * ASK_ENDED and *e: there is no server, or it has ended; ASK_REFUSED and *e: it says no. */
enum ask_end { ASK_ENOUGH, ASK_REFUSED, ASK_ENDED };
enum ask_end ask_stream(struct ask *a, const char *path,
                        bool (*fn)(void *arg, const char *p, size_t n), void *arg,
                        struct err *e) MUST_USE;

/* Puts into *e that no sluice gives such an answer; returns false. */
bool ask_stranger(const struct ask *a, struct err *e);

/* Whether the last request found that nothing listens there. */
bool ask_closed(const struct ask *a);

/* "127.0.0.1:9100 (noted in data/spool)": where it asks, and how it knows. */
const char *ask_where(const struct ask *a);
/* Tells people which server has obeyed, unless an argument has named it. */
void ask_tell_where(const struct ask *a);

/* ---- ask_socket.c ---- */

/* Puts into *e why nothing answers at a socket of Unix; returns false. */
bool ask_socket_fails(const char *path, const char *where, struct err *e);

/* ---- ask_silence.c: a request without an answer ---- */

struct ask_silence {
    const char *where, *socket; /* socket: of Unix; "": none */
    const char *why;            /* in the words of libcurl */
    int rc;                     /* CURLcode */
    long timeout_ms, status;    /* status 0: no answer has begun */
    long verified;              /* of the certificate: OpenSSL's X509_V_…, 0: good */
    bool connected, order;
};

/* Puts into *e what it means, and what to do; returns false. */
bool ask_no_answer(const struct ask_silence *s, struct err *e);

/* ---- ask_refused.c: an answer that says no ---- */

/* Puts what is wrong with an answer of 400 or more into *e; returns false. */
bool ask_refused(const struct ask_answer *answer, struct err *e);
