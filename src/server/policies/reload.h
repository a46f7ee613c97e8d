/*
 * reload - one load of a policy, or the end of a rollout, from the order to its answer:
 * the parts that reload.c and activation.c share. The supervisor's thread, but for
 * members that the loader's thread writes before it has ended.
 */
#pragma once

#include <pthread.h>

#include "base/err.h"
#include "server/certificates.h"
#include "server/internal.h"

struct reload {
    struct server *s;
    struct reload *next; /* after it */
    struct reload_request asked;
    struct generation *generation;
    struct policy *from; /* rollback: whose files; else NULL */
    pthread_t thread;
    bool loading; /* the thread is to be joined */
    /* The thread's results. */
    struct policy *policy;        /* NULL: refused */
    struct policy_state **states; /* one a worker */
    struct policy_report report;
    struct certificates certificates; /* of its listeners */
    struct policy_state *rule_state;  /* of a canary; NULL: none */
    struct err e;       /* why there are no states; of the changer, why not */
    char suspect[1024]; /* why it may not go live: its hash is a suspect's */
    /* The supervisor's. */
    int ids[PLAN_STREAMS_MAX];
    int dead_stream;
    char why[256];           /* a rollout is dropped */
    struct worker_step step; /* of the workers, towards the next stage */
    /* The changer's. */
    bool altered;
    void (*changed)(void *arg); /* the step after it; NULL: it is not at it */
};

/* Answers the caller, frees r, and lets the next one begin. text is for a human. */
void reload_finish(struct reload *r, enum reload_result result, const char *status,
                   const char *text);

/* run(r) on the changer's thread, done(r) on the supervisor's. When it takes long, its
 * caller and those after it are answered, and it goes on. */
void reload_change(struct reload *r, changer_fn *run, changer_fn *done);

/* The same for a generation that nothing comes of. */
void reload_refuse(struct reload *r, enum reload_result result, const char *why);

/* ---- activation.c: its policy and its states are there ---- */

void activation_apply(struct reload *r);
/* The rollout under way ends: its policy goes, or goes live. */
void activation_drop(struct reload *r);
void activation_promote(struct reload *r);
