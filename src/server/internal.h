/*
 * internal - the parts that the files of server/ share: those of one process. Main
 * thread.
 */
#pragma once

#include <ev.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "delivery/delivery.h"
#include "http/http.h"
#include "index/roster.h"
#include "loop/mailbox.h"
#include "plan/plan.h"
#include "policy/load/load.h"
#include "server/listening.h"
#include "server/policies/rollout.h"
#include "server/policies/versions.h"
#include "server/policies/watchdog.h"
#include "server/pulse.h"
#include "server/sinks/changer.h"
#include "server/sinks/hooks.h"
#include "server/sinks/persisted.h"
#include "server/supervisor.h"
#include "server/worker.h"
#include "spool/spool.h"

struct access;
struct err;
struct collector;
struct indexer;
struct history;
struct growth;
struct refusing;
struct place;
struct quotas;
struct process;
struct registry;
struct renewal;
struct samples;
struct successor;
struct taps;

enum { RELOAD_ENDS = 6 };

/* The sink of the dead letters' stream; no policy can name one so. */
#define DEAD_LETTERS "dead-letters"

/* A stream has room for 80 readers. */
enum { SINKS_RUNNING_MAX = 79 };

/* A running sink, by the name that the policy gave it. */
struct running_sink {
    struct delivery *delivery; /* NULL: free place */
    struct sink_lua *lua;      /* of its plan's functions; NULL: none */
    struct sink_lua *lua_next; /* from sinks_go on */
    char name[96];
    struct persisted_sink kept; /* the policy that its plan is of */
    bool fresh;                 /* started by the reload that compares */
    bool waits;   /* its policy may still be refused: it has had no event in its life */
    bool altered; /* it may have settings of that one */
    bool retiring; /* the policy does not have it any more */
    bool paused;   /* it can't start: paused.c */
    char was[96];  /* whose journal this reload gave it; "": its own */
    char at[96];   /* paused: whose name its journal still has; "": its own */
    /* That it was under the old name: it keeps its place in the spool until the policy
     * is live, and comes back when that is refused. NULL: none. */
    struct delivery *before;
    bool handing; /* its journal was wanted, and its thread has not ended yet */
    bool ending;  /* it is done with, and its thread has not ended yet */
    bool removed; /* it has delivered all: to be told when it is gone */
};

struct server {
    struct supervisor_conf conf;
    struct process *process; /* outlives s */
    struct ev_loop *loop;
    struct mailbox mail; /* for the workers */
    ev_signal on_hup, on_term, on_int, on_usr1, on_usr2;
    ev_io on_launcher, on_link; /* upgrade/launch.h, upgrade/link.h */
    ev_timer drain_timer;
    ev_timer paused_timer;     /* while a sink is paused */
    struct policy *policy;     /* live */
    struct registry *registry; /* the things that outlive a generation of the policy */
    struct policy *previous;   /* for rollback; NULL: none */
    struct spool *spool;
    char *spool_dir;
    char *tables_dir; /* of built lookup tables; below the data directory */
    int stream_ids[PLAN_STREAMS_MAX];
    int dead_stream;                              /* -1: none yet */
    struct running_sink sinks[SINKS_RUNNING_MAX]; /* the dead letters' too */
    struct folders *folders;                  /* of file sinks: each has one owner */
    const struct persisted *persisted_before; /* while a policy's sinks are applied */
    bool undoing;               /* a refused policy's changes of the sinks */
    bool applying;              /* a policy's sinks, until they may send */
    bool sinks_ahead;           /* they have a policy that is not live yet, or get it;
                                 the supervisor's */
    pthread_mutex_t sinks_lock; /* the table, for its readers: running.c */
    struct changer changer;     /* before it starts the supervisor does its work */
    bool looking,
        any_paused;        /* paused.c: a look at those that are paused is under way */
    struct quotas *quotas; /* of the registry, on disk */
    struct collector *collectors[SPOOL_STREAMS_MAX]; /* of dedup's keys, by stream id */
    struct indexer *indexers[SPOOL_STREAMS_MAX];     /* the same way */
    struct roster roster; /* which streams there were: indexes.c; the changer's, */
    bool roster_waits;    /* and the disk has not taken it */
    bool roster_stale;    /* and what it has is not to be believed */
    struct print_rings *prints; /* what workers hand to them */
    struct worker **workers;
    struct access *access; /* lines.c */
    struct listenings listeners;
    struct renewal *renewal; /* their certificates */
    uint32_t n_workers;
    struct policy_state **states; /* for them; NULL: they have theirs */
    struct place *place;          /* that another process leaves, or is left */
    struct successor *successor;  /* on its way; NULL: none */
    struct listening admin_listener;
    struct http_server *admin;
    struct samples *samples;             /* of refusals, for the page */
    struct history *history;             /* its figures */
    struct growth *growth;               /* faults that counters tell */
    struct refusing *refusing;           /* what refuses over the last hour */
    struct page_data *page_data;         /* its last answers */
    const struct admin_plan *admin_plan; /* the live policy's */
    struct taps *taps;                   /* that operators look through */
    struct generations generations;
    struct generation *live;
    ev_timer look_timer;                        /* while a generation retires */
    struct reload *reloading, **reloading_tail; /* the first is under way */
    uint32_t n_reloading;
    ev_timer late_timer; /* the first waits for the changer */
    bool reload_late;    /* for too long: others are refused */
    stats_cell *reloads[RELOAD_ENDS];
    struct rollout rollout;
    struct watch watch;
    struct pulse pulse;
    bool fell_back;                /* at the start: the policy's file is a suspect */
    struct worker_step superseded; /* that a load has not waited for */
    uint64_t started_ns;           /* on the monotonic clock */
    const char *began; /* "start", "upgrade", "again": another did not take its place */
    bool draining;
    bool resting;        /* an operator sends clients elsewhere; it goes on */
    atomic_bool leaving; /* the same, for the workers */
    bool ended;          /* the loop; workers are gone, or go */
    uint64_t drain_until_ns, drain_from_ns;
    int exit_code;
};

/* ---- streams.c: the plan's streams in the spool, and those that feed its sinks ---- */

bool streams_open(struct server *s, const struct plan *plan, int *ids, int *dead_stream,
                  struct err *e) MUST_USE;
/* After a reload that was refused: the spool's streams are as the live plan has them. */
void streams_restore(struct server *s);
/* The live plan's settings of them hold from now on, and streams of other policies are freed
 * once their sinks are done: see spool.h. */
void streams_used(struct server *s);
void streams_tell_left(struct server *s); /* at the start: those that no sink reads */
uint32_t streams_of(const struct plan *plan, uint32_t sink, const int *ids,
                    struct delivery_stream *out);
/* The dead letters' stream, opened when plan's hooks need it; -1: none. */
bool dead_stream_open(struct server *s, const struct plan *plan, int *dead_stream,
                      struct err *e) MUST_USE;

/* ---- sinks/sinks.c: the changer's thread; the supervisor's before that one starts ---- */

/* The plan's sinks as threads. False and *e: as before. */
bool sinks_apply(struct server *s, struct policy *p, const int *ids, int dead_stream,
                 struct err *e) MUST_USE;
/* Tries to start one that is paused. */
void sinks_revive(struct server *s, struct running_sink *r);
/* One sink of p, number k of its plan. */
bool sinks_apply_one(struct server *s, struct policy *p, uint32_t k, const int *ids,
                     struct err *e) MUST_USE;
/* The sink of the dead letters' stream; stream -1: there is none. */
bool sinks_apply_dead(struct server *s, struct policy *p, int stream,
                      struct err *e) MUST_USE;

/* ---- sinks/retired.c: sinks that go ---- */

/* The policy is live: sinks that it does not have any more retire. */
void sinks_retire(struct server *s);
/* Once no request of an earlier generation is under way, the streams that only such a
 * request could feed retire, too. The supervisor; the changer does it. */
void sinks_retire_rest(struct server *s);
/* Restores the sinks of an earlier process that p does not have: before the others,
 * because a new one may want the same folder; and again after them, for journals that
 * no sink has taken over. */
bool sinks_restore(struct server *s, const struct policy *p, bool again,
                   struct err *e) MUST_USE;

/* The supervisor: ends all of them by one deadline. False: a thread hangs, and still
 * uses the spool. Not alone: the changer is one of those, and nothing is freed. */
bool sinks_stop(struct server *s, uint64_t until_ns, bool alone) MUST_USE;

bool sink_in_plan(const struct plan *plan, const char *name);
/* Into r, which is free or paused. */
bool sink_restore(struct server *s, struct running_sink *r,
                  const struct persisted_sink *line, struct err *e) MUST_USE;
/* One on its way out that a refused policy took up has its own settings again. False and
 * *e: it has not, or with delivery_left not yet. */
bool sink_turn_back(struct server *s, struct running_sink *r, struct err *e) MUST_USE;
/* Ends a sink for good, with its journal. False: its thread has not ended after ms. */
bool sink_end(struct server *s, struct running_sink *r, int64_t ms);
/* The same; once its thread has ended, when that hangs. */
void sink_end_soon(struct server *s, struct running_sink *r, int64_t ms);
/* Gives up the remaining events of a retiring sink, and ends it. False: its thread
 * hangs, and nothing is given up. */
bool sink_drop(struct server *s, struct running_sink *r, const char *cause,
               struct delivery_status *dropped);
void on_sink_retired(void *arg); /* any thread: one of them has nothing left */

/* ---- sinks/undo.c ---- */

/* The way back from a policy that was refused; before: the text of KEPT. */
void sinks_undo(struct server *s, const struct persisted *before);

/* ---- sinks/running.c ---- */

/* A free place with that name, still without a delivery; NULL: all are taken. */
struct running_sink *running_new(struct server *s, const char *name);
/* r has d from now on; returns its delivery before, which others may not see any
 * more. */
struct delivery *running_set(struct server *s, struct running_sink *r,
                             struct delivery *d);
void running_clear(struct server *s, struct running_sink *r); /* the place is free */
void running_retires(struct server *s, struct running_sink *r, bool retires);
void journal_path(const struct server *s, const char *name, char out[PATH_MAX]);
/* Its journal goes, or one that is no sink's: persisted_end_as, in the spool that was
 * opened only. */
bool running_end_journal(const struct server *s, const struct running_sink *r,
                         struct err *e);
bool journal_end(const struct server *s, const char *at, const char *name,
                 enum places_had by, struct err *e);
void running_back(struct server *s,
                  struct running_sink *r);          /* to the name that it was */
void running_go(struct running_sink *r, bool live); /* as sinks_go, for one */
/* A sink that is not there yet. lua is taken when it succeeds. */
bool running_start(struct server *s, const struct delivery_conf *c,
                   struct sink_lua *lua, struct err *e) MUST_USE;
/* The sink of c: started, altered, or with the journal of the one that it was. Takes lua. */
bool start_or_alter(struct server *s, const struct delivery_conf *c,
                    struct sink_lua *lua, struct err *e) MUST_USE;
/* Any thread but the changer reads the table, and asks its deliveries, between
 * these. */
void sinks_lock(struct server *s);
void sinks_unlock(struct server *s);
struct running_sink *sinks_find(struct server *s,
                                const char *name); /* or NULL; locked */

/* ---- sinks/ready.c ---- */

/* Asks the changer, and the threads of all sinks but those that retire and are not in
 * plan; done, on the supervisor's thread, gets the reason of one that has not answered
 * within 5 s, or NULL. Not called from within. */
typedef void sinks_ready_fn(void *arg, const char *late);
void sinks_ready(struct server *s, const struct plan *plan, sinks_ready_fn *done,
                 void *arg);

/* ---- sinks/paused.c: sinks that can't start ---- */

/* The policy of the last sinks_apply can't be refused any more, and sinks that wait for
 * that begin to send by it; not live: it was. */
void sinks_go(struct server *s, bool live);

/* Soon, at those that are paused or end late. Any thread. */
void paused_look(struct server *s);
/* r's delivery does not run: it says why, and is tried again. */
void paused_note(struct server *s, struct running_sink *r, const char *why);
/* A delivery that keeps r's place takes the place of the one before (NULL: none). */
bool paused_start(struct server *s, struct running_sink *r,
                  const struct delivery_conf *c, const char *why,
                  struct err *e) MUST_USE;
/* A running delivery in its stead. False and *e: it is paused still. */
bool paused_restart(struct server *s, struct running_sink *r,
                    const struct delivery_conf *c, struct err *e) MUST_USE;

/* ---- policies/reload.c: the whole of it or nothing ---- */

enum reload_result {
    RELOAD_OK = 0,
    RELOAD_BAD_POLICY,
    RELOAD_NEEDS_RESTART,
    RELOAD_FAILED,
    RELOAD_CONFLICT,
    RELOAD_BUSY
};
/* ROLLBACK: of the rollout if there is one, else to the policy before. */
/* FRESH: of the live one, in new Lua states. */
enum reload_kind {
    RELOAD_FILE,
    RELOAD_ROLLBACK,
    RELOAD_PROMOTE,
    RELOAD_DROP,
    RELOAD_FRESH
};

struct reload_answer {
    enum reload_result result;
    const char *status;  /* "live", "refused", "canary", … */
    uint64_t generation; /* of this load; 0: it came to none */
    uint64_t live;
    const char *text;                   /* for a human: problems, notes */
    const struct policy_report *report; /* the same one by one */
    struct server *server;
};
struct reload_request {
    enum reload_kind kind;
    const char *cause; /* static */
    uint64_t rollout;  /* PROMOTE, DROP: of this one only; 0: of any */
    const char *why;   /* then; NULL: by hand */
    /* Called once, maybe within reload_ask; a lives until it returns. */
    void (*done)(void *arg, const struct reload_answer *a);
    void *arg;
};
void reloads_init(struct server *s);
/* False: draining, too many wait, or the first waits for a disk. */
bool reload_ask(struct server *s, const struct reload_request *asked) MUST_USE;
/* Then, when a reload waits for a disk: the words for it. */
void reload_late_text(struct server *s, char *text, size_t bytes);
/* The loader's thread has ended, before the mailbox is emptied for good. False: not
 * until then (monotonic), it hangs in a read; its memory must stay. */
bool reloads_join(struct server *s, uint64_t until_ns);

/* ---- policies/activation.c ---- */

/* Lua states for n workers; false and *e: those made are the caller's. */
bool states_make(struct policy *p, struct policy_state **states, uint32_t n,
                 struct err *e) MUST_USE;
/* g's bindings from its policy and states, which are taken. */
void bindings_make(struct server *s, struct generation *g, struct policy_state **states,
                   const int *ids, int dead_stream);

/* A policy is live: a start after a hook that did not come back looks for it.
 * from_file: it is not live by a rollback. */
void activation_note(struct server *s, bool from_file);

/* ---- start.c ---- */

/* name below dir, or itself where it is absolute; free() it. */
char *start_path(const char *dir, const char *name);
void start_raise_limits(void);
/* While another process serves still: what takes time, and needs neither the spool nor a
 * listener. False and *e: the start would fail at it. */
bool start_prepare(struct server *s, struct err *e) MUST_USE;
void start_unprepare(struct server *s); /* what no worker has taken of it */
/* What needs root's rights comes before they are given up; what makes files, after. */
bool start_enter(struct server *s, struct err *e) MUST_USE;
/* From the policy to the first request. False: stop_all ends what has begun. */
bool start_all(struct server *s, struct err *e) MUST_USE;

/* ---- supervisor.c ---- */

/* The log as the live policy wants it. */
void log_follow(const struct plan *plan);

/* ---- admin/admin.c ---- */

bool admin_start(struct server *s, struct err *e) MUST_USE;
/* The options of its listener are those of the live policy. */
void admin_follow(struct server *s);

/* ---- admin/status.c: the JSON of /status; free() it ---- */

char *status_json(struct server *s);
struct cJSON *status_object(struct server *s);   /* the same; the caller's */
char *status_replay(struct delivery *d);         /* of its dead letters */
struct cJSON *status_retiring(struct server *s); /* sinks that retire */

/* ---- stop.c ---- */

/* The loop has ended. False: a thread hangs and still uses s. */
bool stop_all(struct server *s) MUST_USE;

/* ---- drain.c ---- */

void drain_begin(struct server *s, const char *cause);
/* Health is 503 and connections close while it is on; nothing ends. */
void drain_rest(struct server *s, bool on);
