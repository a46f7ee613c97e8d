/*
 * internal - what the files of this room share. Nobody else includes it.
 *
 *   load.c     a file to a snapshot: hashed; problems reported
 *   snapshot.c its files' texts, each read once
 *   saved.c    a snapshot's texts in one file, for a later process
 *   build.c    the loader's description to a plan; routes.c: its routes
 *   state.c    a Lua state that has run the snapshot; its allocator
 *   deadline.c    how long it may work; memory.c: how much it may keep
 *   take.c     the routes' hooks, out of the loader's result
 *   hooks.c    a request into Lua and back
 *   protect.c  calls from C into Lua that may raise
 *   stuck.c    a hook that does not come back
 *   ffi.c      what hooks call
 *   files.c    the files that a policy names: Lua, tables for lookup
 *   counters.c     its counters, gauges and limits; counters.c plans them
 *   tools.c    what the helpers call: random numbers, uuids, time; digest.c,
 *   path.c     text.c: digests, values by path, texts
 *   rehearsal.c  the policy's examples, run
 *   plain.c    what Lua's own library has, within bounds
 *   json.c     JSON to Lua values and back
 *   diag.c     problems to text
 *   traces.c   what the compiler made of hooks
 *   reference.c the words, for people, editors and luacheck
 */
#pragma once

#include <lua.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

#include "base/arena.h"
#include "plan/csv_table.h"
#include "policy/library/ffi.h"
#include "policy/policy.h"

enum {
    STATE_BYTES_MAX = 64 << 20,
    STATE_BYTES_WORN = 56 << 20, /* kept after a collection, by one that starved */
    TOP_LEVEL_MS = 2000, /* of a policy's top level */
    AFTER_MS = 200,      /* what is left when a file of it was stopped */
    HOOK_MS = 50,        /* of one call of a hook with loops */
    WARM_ROUNDS = 250,   /* of the examples, before a state is used */
    WARM_MS = 20,        /* and at most */
    SINK_HOOK_MS = 10,   /* of a function that decides for a sink */
    JUDGE_MS = 50,       /* of a canary's roll_back_if */
    HOOK_STOP_MS = 31,   /* when it is stopped, so that its whole batch, with what the
                            next events are given, is over by HOOK_MS */
    HOOK_END_MS = 75,    /* and when the last of those are stopped: they may have to wait
                            until the garbage of the first is collected */
    STATE_SLICE = 1 << 20, /* of work in C, in bytes, between two looks */
    NEXT_MS = 1,         /* for each event behind one that was stopped, or */
    FIRST_NEXT_MS = 4,   /* the first, which may meet the garbage of that one, */
    FIRST_LEAST_MS = 2,  /* which has this also behind HOOK_END_MS, */
    OVERRUNS_MAX = 8     /* until so many were: then the rest ends at once */
};

struct hub;

/* Which file it was, and as of when. */
struct snapshot_id {
    dev_t dev;
    ino_t ino;
    off_t bytes;
    struct timespec modified;
};

struct snapshot_file {
    char *path;
    char *text;
    size_t n;
    bool on_disk; /* it was read from path, then called id */
    struct snapshot_id id;
};

/* A lookup file that was read. */
struct table {
    char *path, *key; /* key "": the first column */
    char delimiter;
    struct lookup *lookup;
};

struct policy {
    atomic_uint refs;
    struct hub *hub;             /* a reference */
    struct plan *plan;
    const struct policy_env *env; /* NULL: the process's */
    struct snapshot_file *files; /* the policy first, then what it required */
    uint32_t n_files;
    bool whole;                  /* it has every file that it names */
    struct table *tables;        /* complete after the first load */
    uint32_t n_tables;
};

struct held;
struct tools;

struct route_hooks {
    int runner;         /* reference of the hooks module's table; LUA_NOREF */
    bool loops;         /* interpreted, under a bound of time */
    char why_bounded[200]; /* loops: "on_event has a loop in line 7 of p.lua" */
    /* Where on_event and on_request begin. */
    char files[2][100];
    int lines[2];
};

enum { HOOK_ON_EVENT, HOOK_ON_REQUEST };

/* The events of a state's examples. They stay as long as the state does, for a hook
 * may have kept one, and have epochs that no worker's requests come to: what it then
 * reads is an event of an earlier request, not freed memory. */
struct rehearsal {
    struct arena arena;
    struct event_batch batch;
};
enum { REHEARSAL_EPOCH = 1 << 30 };

/* ---- load/rehearsal.c ---- */

void rehearsal_free(struct rehearsal *r); /* NULL is fine */

/* ---- run/deadline.c ---- */

struct policy_state {
    struct policy *policy;
    lua_State *L;
    size_t bytes;
    uint64_t allocations;
    size_t reserve;          /* beyond STATE_BYTES_MAX, for what is not the policy's */
    bool starved;            /* was refused memory since this was last looked at */
    uint32_t reliefs;        /* times that garbage was collected for that in this call */
    bool collecting;         /* that is not through */
    int cycles;              /* of the collector, that have ended meanwhile */
    atomic_bool worn;        /* the policy keeps so much that hooks fail for it */
    /* deadline.c's, of what runs now, in the thread's time. */
    uint64_t allowed_ns;     /* 0: unbounded */
    uint64_t deadline_ns;    /* 0: the clock was not looked at yet */
    uint64_t begun_ns;       /* when it was looked at first */
    bool late;               /* it was found to be over */
    uint64_t looked_ns;      /* when it was last; 0: not yet */
    int count;               /* instructions until the next look */
    const char *stack;       /* where the C stack stood */
    const char *bounded;     /* what that is, for the message */
    uint32_t n_stopped;      /* events that ran too long, until they are counted */
    uint32_t overruns;       /* events of this call that were stopped */
    /* stuck.c's; the first two are read by the supervisor. */
    _Atomic uint64_t pass;   /* odd: in a hook */
    atomic_uint at;          /* route's index × 2 + which hook */
    volatile sig_atomic_t interrupted; /* 1: raise, 2: one event was given up */
    struct sluice_context context;
    struct rehearsal *rehearsal; /* NULL: no example was run */
    struct tools *tools;     /* of the helpers */
    char *made;              /* an event made of a request's head and body */
    size_t made_room;
    char *part;              /* a part of the request that a hook reads, decoded */
    size_t part_room;
    char *spill;             /* a text for which the arena has no room */
    size_t spill_room;
    struct held *held;       /* counters, limits; NULL while it is loaded */
    bool trying;             /* its examples: held is nobody else's */
    double now_ms;           /* of the request, for what takes time */
    uint64_t told_ns;        /* when a hook's error was last logged */
    uint64_t untold;         /* errors since */
    int on_events, on_request; /* references */
    struct route_hooks hooks[PLAN_ROUTES_MAX];
    int sink_hooks[PLAN_SINKS_MAX][POLICY_N_SINK_HOOKS]; /* references */
    int topic;               /* reference of the last text of topic_by */
    int judge;               /* canary's roll_back_if; LUA_NOREF */
    uint64_t raised;         /* errors of hooks and functions, ever */
};

/* While what is not NULL, what takes more than ms of its thread's time raises. */
void state_bound(struct policy_state *s, const char *what, int ms);
/* The same for a hook of a request with so many bytes. */
void state_bound_request(struct policy_state *s, int ms, size_t body);

/* The thread's time, ms after the call in hand has begun. */
uint64_t state_since_begun(struct policy_state *s, unsigned ms);
/* The collector has taken some of the event's time, which it gets back. */
void state_relieved(struct policy_state *s);

/* Work in C, in bytes or steps of about a nanosecond, told before it is done. False:
 * the time is over. state_work raises then. */
bool state_spend(struct policy_state *s, double n);
void state_work(lua_State *L, double n);
/* The same for an allocation: small ones are none. */
bool state_large(struct policy_state *s, size_t bytes);

/* Raises "stack overflow" where C that was called from Lua calls Lua too deep. */
void state_nest(lua_State *L);

/* Looks at the clock again as it did before another hook of Lua's was set. */
void state_rehook(struct policy_state *s);

/* The event in hand is done with, maybe because it was stopped: the next one of the
 * request has a little time of its own again. */
void state_next_event(struct policy_state *s);

/* ---- run/protect.c ---- */

/* Runs f with arg, a light userdata, as its one argument; false: it raised,
 * *e tells. What it pushes is gone. */
bool state_protect(struct policy_state *s, lua_CFunction f, void *arg,
                   struct err *e) MUST_USE;
/* The error on top, as text; makes none in Lua. */
void state_why(lua_State *L, char *out, size_t room);
int state_panic(lua_State *L); /* for lua_atpanic: logs */

/* ---- run/memory.c: Lua's allocator of a state ---- */

void *state_alloc(void *arg, void *p, size_t before, size_t after);
/* A hook has come to the cap: true, there is room again. */
bool state_relieve(struct policy_state *s);
/* Behind a call that has come to it. */
void state_look_at_memory(struct policy_state *s);

/* ---- run/stuck.c: around each call of a route's hook ---- */

void stuck_enter(struct policy_state *s, const struct route *route, int hook);
void stuck_leave(struct policy_state *s);

/* ---- run/hooks.c ---- */

/* A hook of the route in hand raised: logged, at most once a second. */
void hooks_raised(struct policy_state *s, struct str why);

/* ---- library/ffi.c: a value of an event's text for Lua; what it is ---- */

void ffi_give(struct sluice_context *c, enum slot_kind kind, struct str json,
              struct sluice_value *out);
enum slot_kind ffi_kind(struct str json);

/* ---- library/path.c ---- */

/* Sets the value at a path to json, which lies in the arena; json.p is NULL:
 * removes it. 0, or an enum ffi_refusal. */
int ffi_set_path(struct sluice_context *c, struct event *ev, struct str path,
                 struct str json);

/* ---- load/snapshot.c ---- */

/* text is taken. */
void snapshot_add(struct policy *p, const char *path, char *text, size_t n);
bool snapshot_read(struct policy *p, const char *path, size_t max_bytes,
                   struct err *e);
/* A file that was read is not the one that is on the disk now. */
bool snapshot_changed(const struct policy *p);

/* A file of the snapshot; NULL: none. */
const struct snapshot_file *snapshot_find(const struct policy *p,
                                          const char *path);

/* ---- load/load.c ---- */

/* An empty snapshot; one with its files to a policy, taken; NULL and a
 * report. reading: files that it lacks are read. */
struct policy *snapshot_new(void);
struct policy *snapshot_load(struct policy *p, bool reading,
                             struct policy_report *report);

/* ---- run/state.c ---- */

/* A state whose loader has run; then, called with its result on top of the
 * stack, goes on, also protected. reading: files that the snapshot lacks are read and
 * put into it. NULL and *e, or what `then` has said. */
struct policy_state *state_load(struct policy *p, bool reading,
                                bool (*then)(struct policy_state *s, void *arg,
                                             struct err *e),
                                void *arg, struct err *e);
/* Makes the embedded modules known to L's require. */
bool state_preload(lua_State *L, struct err *e);

/* ---- run/take.c ---- */

/* Takes the hooks out of that result, which stays. */
bool state_take_hooks(struct policy_state *s, struct err *e);

/* ---- run/sinks.c ---- */

/* Takes the sinks' functions out of the result on top, which stays. */
void state_take_sinks(struct policy_state *s);

/* ---- run/rollback.c ---- */

/* The same for the canary's judge. */
void state_take_judge(struct policy_state *s);

/* ---- build/build.c ---- */

/* The result on top of s->L to plan, whose hash is set. */
bool plan_build(struct policy_state *s, struct plan *plan, struct err *e);

/* ---- build/counters.c ---- */

struct build;

/* The rest of it. */
void build_held(struct build *b);

/* ---- load/files.c: functions for the table on top; what they have read ---- */

void files_push(lua_State *L, bool may_read);
void files_free(struct policy *p);

/* ---- library/plain.c ---- */

/* A table of functions on top. */
void plain_open(lua_State *L);

/* ---- run/memory.c ---- */

/* The state that L is; NULL: none. */
struct policy_state *state_here(lua_State *L);

/* ---- load/rehearsal.c ---- */

/* Runs those of the result on top; problems are added to it. */
void examples_run(struct policy_state *s);

/* ---- load/diag.c: the problems of the result on top ---- */

void diag_report(lua_State *L, struct policy_report *report);
/* The only problem, of the file as a whole; text names it as it should read. */
void diag_plain(struct policy_report *report, const char *file,
                const char *text);
/* The loader's remarks, of the result on top, as notes. */
void diag_remarks(lua_State *L, struct policy_report *report);
void diag_note(struct policy_report *report, const char *file, int line,
               const char *message);

/* ---- library/json.c ---- */

int json_decode(lua_State *L); /* (text, numbers?) -> value; the text is JSON */
int json_valid(lua_State *L);  /* (text) -> whether it is JSON */
int json_same_number(lua_State *L); /* (digits, digits) -> whether they are one number */
int json_array(lua_State *L);  /* (table) -> it, marked as an array */
int json_open_null(lua_State *L); /* () -> what null is from now on */

/* ---- library/json_encode.c ---- */

/* (value, numbers?) -> text */
int json_encode(lua_State *L);

/* ---- library/json_same.c ---- */

/* (value, text) -> whether value is what json_decode(text) gives */
int json_same(lua_State *L);
