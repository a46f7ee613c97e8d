/*
 * access - a worker's lines of the access log. Without a log in the policy nothing here
 * runs; a line costs no lock, no call of the system and no allocation, but for requests
 * that wait for a commit, whose entries come from a pool.
 *
 * Of the worker's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "access/line.h"
#include "base/str.h"

struct account;
struct access_plan;
struct binding;
struct ingest;
struct request_mark;
struct request_state;
struct ring;

/* Entries of requests that wait; further ones have no line. */
enum { ACCESS_ENTRIES_MAX = 4096 };

struct access_lines {
    const struct access_plan *plan; /* the current policy's; NULL: no log */
    struct ring *ring;              /* NULL: the same */
    uint64_t chance;                /* below it a request is in the sample */
    uint64_t random;
    struct access_entry *free;
    uint32_t n_entries;
    struct access_entry now; /* of the request in hand */
    char *query;             /* where keys are taken out of its query */
    size_t query_room;
    char line[ACCESS_LINE_BYTES];
};

/* What a line says of the answer. */
struct access_said {
    int status;
    const char *code; /* NULL: none */
    uint32_t accepted, refused;
    uint64_t bytes_out;
    struct str client; /* where nothing is known of the request */
};

void access_bind(struct access_lines *a, struct ring *ring,
                 const struct access_plan *plan);
void access_fini(struct access_lines *a);

/* The request whose view in->view is, NULL: nothing is known of it, is answered. state:
 * NULL: it has none. */
void access_now(struct ingest *in, const struct request_state *state,
                const struct account *account, const struct request_mark *m,
                const struct access_said *said);

/* The same request's answer comes later: its entry, or NULL: it has no line. */
struct access_entry *access_keep(struct ingest *in, const struct request_state *state);
/* Is answered; takes e. */
void access_late(struct ingest *in, struct access_entry *e,
                 const struct account *account, const struct request_mark *m,
                 const struct access_said *said);
void access_drop(struct ingest *in, struct access_entry *e); /* without a line */
