/*
 * internal - the snapshot and the state, for the rooms of a policy; no other file
 * includes it. Each room's internal.h has the parts that only its own files share.
 *
 *   load/     a file to a snapshot, which is hashed; its problems; its examples, run
 *   build/    the loader's description to a plan
 *   run/      a Lua state that has run the snapshot; its hooks, their time and memory
 *   library/  functions that hooks call: values by path, texts, digests, JSON
 */
#pragma once

#include <lua.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "decode/params.h"
#include "plan/cidr_table.h"
#include "policy/library/ffi.h"
#include "policy/run/run.h"
#include "shared/buckets.h"
#include "tables/csv_table.h"

struct seen_hash;

enum {
    STATE_BYTES_MAX = 64 << 20,
    STATE_BYTES_WORN = 56 << 20, /* kept after a collection, by one that starved */
    TOP_LEVEL_MS = 2000,         /* of a policy's top level */
    AFTER_MS = 200,              /* for the rest when a file of it was stopped */
    HOOK_MS = 50,                /* of one call of a hook with loops */
    WARM_ROUNDS = 250,           /* of the examples, before a state is used */
    WARM_MS = 20,                /* and at most */
    SINK_HOOK_MS = 10,           /* of a function that decides for a sink */
    ROLL_BACK_IF_MS = 50,        /* of a canary's roll_back_if */
    HOOK_STOP_MS = 31,  /* when it is stopped, so that its whole batch, with the time of
                          the next events, is over by HOOK_MS */
    HOOK_END_MS = 75,   /* and when the last of those are stopped: they may have to wait
                            until the garbage of the first is collected */
    HOOK_FRESH_MS = 42, /* until then each event after one that was stopped has its time
                           from its own start; those that run too long end by HOOK_MS */
    STATE_SLICE = 1 << 20, /* of work in C, in bytes, between two looks */
    NEXT_MS = 1,           /* for each event after one that was stopped, or */
    FIRST_NEXT_MS = 4,     /* the first, which may meet the garbage of that one, */
    FIRST_LEAST_MS = 2,    /* which has this also after HOOK_END_MS, */
    OVERRUNS_MAX = 8       /* until so many were: then the rest ends at once */
};

struct registry;

/* Which file it was, and as of when. */
struct snapshot_id {
    dev_t dev;
    ino_t ino;
    off_t bytes;
    struct timespec modified, changed; /* the first is whatever a deployment says */
};

struct snapshot_file {
    char *path;
    char *text;
    size_t n;
    bool on_disk; /* it was read from path, then called id */
    struct snapshot_id id;
    /* That has the text; both NULL: the text is the snapshot's own. */
    struct mmdb *database;
    struct agents *agents;
};

/* A lookup, a cidr file or a file of keys that was read. */
struct table {
    char *path;
    char *key; /* "": the first column; TABLE_KEYS…: of keys, see load/keys_file.h */
    char delimiter;
    bool cidr;
    struct csv_table *lookup;    /* a reference */
    struct cidr_table *networks; /* of a cidr file: the rows by their networks */
    bool large;                  /* it is not among the snapshot's files */
    bool on_disk;                /* large: it was read from path, then called id */
    bool unended;                /* its last line has no end, so it may be cut */
    struct snapshot_id id;
};

/* A secret's file as it was read. */
struct secret_text {
    char *path, *text;
    size_t n;
    bool open_to_all; /* every user of the machine may read it */
};

struct policy {
    atomic_uint refs;
    struct registry *registry; /* a reference */
    struct plan *plan;
    const struct policy_env *env; /* NULL: the process's */
    struct snapshot_file *files; /* the policy first, then the files that it required */
    uint32_t n_files;
    struct literals *literals; /* of the Lua files; NULL: not loaded yet */
    bool whole;                /* it has every file that it names */
    struct table *tables;      /* complete after the first load */
    uint32_t n_tables;
    char *tables_dir; /* of built tables; NULL: they get no names */
    struct secret_text *secrets;
    size_t n_secrets;
    struct seen *kept[64]; /* by stream; references */
};

/* A file of user agents in a state; agent_sets.c's. */
struct agents_reading {
    ptrdiff_t file; /* of the policy's */
    struct agent_reader *reader;
    uint64_t told; /* expressions left out so far that are counted */
};

struct handles;
struct literals;
struct tools;
struct rehearsal;
struct jwt_verifier;
struct verifier;

enum { HOOK_ON_EVENT, HOOK_ON_REQUEST, HOOK_LOCATION, N_HOOKS };

struct route_hooks {
    int runner;            /* reference of the hooks module's table; LUA_NOREF */
    bool loops;            /* interpreted, under a bound of time */
    char why_bounded[200]; /* loops: "on_event has a loop in line 7 of p.lua" */
    /* Where on_event, on_request and the location's function begin. */
    char files[N_HOOKS][100];
    int lines[N_HOOKS];
};

struct policy_state {
    struct policy *policy;
    lua_State *L;
    size_t bytes;
    uint64_t allocations;
    size_t reserve;   /* beyond STATE_BYTES_MAX, for memory that is not the policy's */
    bool starved;     /* was refused memory since this was last looked at */
    uint32_t reliefs; /* times that garbage was collected for that in this call */
    bool collecting;  /* that is not through */
    int cycles;       /* of the collector, that have ended meanwhile */
    atomic_bool worn; /* the policy keeps so much that hooks fail for it */
    /* deadline.c's, of the call that runs now, in the thread's time. */
    uint64_t allowed_ns;  /* 0: unbounded */
    uint64_t deadline_ns; /* 0: the clock was not looked at yet */
    uint64_t begun_ns;    /* when it was looked at first */
    bool late;            /* it was found to be over */
    uint64_t looked_ns;   /* when it was last; 0: not yet */
    int count;            /* instructions until the next look */
    const char *stack;    /* where the C stack stood */
    const char *bounded;  /* its name, for the message */
    uint32_t n_stopped;   /* events that ran too long, until they are counted */
    uint32_t overruns;    /* events of this call that were stopped */
    /* stuck.c's; the first two are read by the supervisor. */
    _Atomic uint64_t pass;             /* odd: in a hook */
    atomic_uint at;                    /* route's index × N_HOOKS + which hook */
    volatile sig_atomic_t interrupted; /* 1: raise, 2: one event was given up */
    struct sluice_context context;
    struct rehearsal *rehearsal; /* NULL: no example was run */
    struct tools *tools;         /* of the helpers */
    struct params_room made;     /* an event made of a request's head and body */
    struct params_room named;    /* events without what their schema does not name */
    char *part;                  /* a part of the request that a hook reads, decoded */
    size_t part_room;
    /* The last address that a database was asked for; databases.c's. */
    struct {
        int32_t file; /* 0: none, which is the policy itself */
        uint32_t n;
        char text[48];
        uint32_t entry;
        bool found;
    } asked;
    struct agents_reading *readers;
    uint32_t n_readers;
    /* Of the events in hand; dedup.c's. */
    struct seen_hash *identities[PLAN_STREAMS_MAX];
    uint32_t identities_room[PLAN_STREAMS_MAX];
    char *spill; /* a text for which the arena has no room */
    size_t spill_room;
    struct handles
        *handles; /* its counters, gauges, limits, seen keys; NULL while it is loaded */
    /* What the limits of the route have said of the request in hand; limits.c's. */
    struct {
        const char *name;
        struct limit_view view;
    } limited[ROUTE_LIMITS_MAX];
    uint32_t n_limited;
    bool trying;             /* its examples run: nothing else uses these handles */
    double now_ms;           /* of the request, for time checks */
    uint64_t told_ns;        /* when a hook's error was last logged */
    uint64_t untold;         /* errors since, */
    char untold_where[1310]; /* and the first of them */
    char untold_why[200];
    char first_raised[200]; /* of the call that runs, or of the last one; "": none */
    int on_events, on_request, on_location; /* references */
    struct route_hooks hooks[PLAN_ROUTES_MAX];
    struct verifier *verifiers[PLAN_ROUTES_MAX]; /* postback.c's, made on first use */
    struct jwt_verifier *
        *jwts; /* auth.c's, by plan->secrets->jwts; NULL: not made yet */
    int sink_hooks[PLAN_SINKS_MAX][POLICY_N_SINK_HOOKS]; /* references */
    int topic;        /* reference of the last text of topic_by */
    int roll_back_if; /* canary's roll_back_if; LUA_NOREF */
    uint64_t raised;  /* errors of hooks and functions, ever */
};

/* ---- run/deadline.c: its functions for library/ ---- */

/* Work in C, in bytes or steps of about a nanosecond, told before it is done. False:
 * the time is over. state_work raises then. */
bool state_spend(struct policy_state *s, double n);
void state_work(lua_State *L, double n);

/* Raises "stack overflow" where C that was called from Lua calls Lua too deep. */
void state_nest(lua_State *L);

/* The event in hand is done with, maybe because it was stopped: the next one of the
 * request has a little time of its own again. */
void state_next_event(struct policy_state *s);

/* ---- run/hooks.c ---- */

/* A hook of the route in hand raised: logged, at most once a second. */
void hooks_raised(struct policy_state *s, struct str why);

/* The same of a sink's function. */
void hooks_raised_for(struct policy_state *s, const char *sink, const char *function,
                      struct str why);

/* Logs the errors that no line names yet. */
void hooks_tell(struct policy_state *s);
