/*
 * state - what the files of server/ share: one process's parts. Main thread.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "http/http.h"
#include "loop/mailbox.h"
#include "plan/plan.h"
#include "policy/policy.h"
#include "server/supervisor.h"
#include "server/worker.h"
#include "sink/delivery.h"
#include "spool/spool.h"

struct err;

enum { GENERATIONS_KEPT = 16, DEAD_SINK = PLAN_SINKS_MAX };

/* A running sink, by the name that the policy gave it. */
struct running_sink {
    struct delivery *delivery; /* NULL: free place */
    struct sink_lua *lua;      /* of its plan's functions; NULL: none */
    char name[96];
    bool wanted;               /* while a reload compares */
};

/* What became of one load. */
struct generation {
    uint64_t number;
    char hash[65];
    char status[16]; /* "live", "retired", "refused" */
    int64_t at_ms;
    char why[256];   /* of a refusal, its first line */
};

struct server {
    struct supervisor_conf conf;
    struct ev_loop *loop;
    struct mailbox mail;      /* for the workers */
    ev_signal on_hup, on_term, on_int;
    ev_timer drain_timer;
    struct policy *policy;    /* live */
    struct policy *previous;  /* for rollback; NULL: none */
    struct spool *spool;
    char *spool_dir;
    int stream_ids[PLAN_STREAMS_MAX];
    int dead_stream;          /* -1: none yet */
    struct running_sink sinks[PLAN_SINKS_MAX + 1]; /* the dead letters' too */
    struct worker **workers;
    int *listen_fds;
    uint32_t n_workers;
    char listen_addr[80], admin_addr[80];
    int admin_fd;
    struct http_server *admin;
    uint64_t next_generation;
    struct generation history[GENERATIONS_KEPT]; /* newest last */
    uint32_t n_history;
    int64_t started_ms;
    bool draining;
    uint64_t drain_until_ns, drain_from_ns;
    int exit_code;
};

/* streams.c: the plan's streams in the spool, its sinks as threads. */
bool streams_open(struct server *s, const struct plan *plan, int *ids,
                  int *dead_stream, struct err *e) MUST_USE;
bool sinks_apply(struct server *s, struct policy *p, const int *ids,
                 int dead_stream, struct err *e) MUST_USE;
void sinks_stop(struct server *s, int64_t flush_ms);
struct running_sink *sinks_find(struct server *s, const char *name); /* or NULL */

/* hooks.c: a sink's Lua state; *out NULL: its plan has no functions. */
struct sink_lua;
bool sink_lua_new(struct policy *p, uint32_t sink, struct sink_lua **out,
                  struct sink_hooks *hooks, struct err *e) MUST_USE;
void sink_lua_free(struct sink_lua *l); /* NULL is fine */

/* reload.c: the whole of it or nothing. *report is the caller's to free. */
enum reload_result { RELOAD_OK = 0, RELOAD_BAD_POLICY, RELOAD_NEEDS_RESTART,
                     RELOAD_FAILED };
enum reload_result reload_policy(struct server *s, bool rollback,
                                 const char *cause, char **report);
/* Gives every worker its binding for p; all or none. first: at the start. */
bool bind_workers(struct server *s, struct policy *p, const int *ids,
                  int dead_stream, bool first, struct err *e) MUST_USE;
void note_generation(struct server *s, uint64_t number, const char *hash,
                     const char *status, const char *why);

/* admin.c */
bool admin_start(struct server *s, struct err *e) MUST_USE;

/* status.c: the JSON of /status; free() it. */
char *status_json(const struct server *s);

/* drain.c */
void drain_begin(struct server *s, const char *cause);
