/*
 * internal - the state of one worker's ingest, shared by the files of this room and by
 * no others.
 */
#pragma once

#include <ev.h>

#include "base/arena.h"
#include "decode/scan.h"
#include "http/http.h"
#include "ingest/access.h"
#include "ingest/account.h"
#include "ingest/answer.h"
#include "ingest/answer_head.h"
#include "ingest/binding.h"
#include "ingest/event_id.h"
#include "ingest/ingest.h"
#include "ingest/shadow.h"
#include "ingest/share.h"
#include "ingest/tap.h"
#include "policy/run/decide.h"
#include "policy/run/dedup.h"
#include "stats/stats.h"

enum {
    WAITERS_MAX = 20000,    /* requests that wait for a commit or a sync */
    WAITERS_KEPT = 4096,    /* after them: memory above it goes back to the heap */
    DELIVERING_MAX = 10000, /* of these, for sinks */
    SYNCS_FEW = 8,          /* streams that one waits for without an allocation */
    SAMPLE_EVERY = 64       /* requests between two sampled stage times */
};

/* The part of ingest in each http_request (http_user). */
struct request_state {
    struct binding *binding; /* held from on_headers to on_body's end */
    const struct route *route;
    struct request_mark mark;
    uint64_t reserved; /* bytes of the route's stream */
    uint32_t shape;    /* enum scan_shape */
    uint32_t head_ns;  /* spent on the head, during a rollout */
    uint32_t unit;     /* and its unit in the tally (tally.h) */
    int32_t key_row;   /* as in struct policy_request */
    uint16_t key_table;
    uint8_t auth;
    struct account *account; /* of the route, or of none */
};

/* A request's events in one stream whose sync or sinks it waits for. */
struct sync {
    int stream;
    bool delivered;     /* for its sinks */
    uint32_t offset, n; /* its events in the block */
    uint64_t first;     /* their sequence, once it is committed */
};

/* A decided request whose events are in a pending block or not yet synced. */
struct waiter {
    struct waiter *next;
    struct http_request *req;
    struct request_mark mark;
    uint64_t reserved;
    int reserved_stream;    /* spool's id, -1: none */
    uint32_t headers_bytes; /* of its text, before the answer; with the NUL */
    uint32_t answer_bytes;
    int status;
    struct account *account, *held; /* the same, once it has joined */
    struct ends ends;               /* of its events, if they are stored */
    uint32_t n_events;
    bool failed;            /* a block with events of it was not stored */
    uint64_t touched;       /* bit i: the spool's stream i has events of it, */
    uint64_t lost;          /* and did not store them */
    uint64_t until_ns;      /* waits for deliveries until then; 0: for none */
    struct dedup_hold hold; /* keys that count as seen once it is stored */
    bool delivering;        /* it waits for sinks */
    bool own_answer;        /* the route's: nothing is added to it */
    bool same_unstored;     /* and it is given also when the events are lost */
    uint32_t own_bytes;     /* of its headers: the lines of this answer alone, first */
    const struct refused_body *refused_body; /* if its events are lost; NULL */
    struct binding *binding; /* whose it is, held; NULL: refused_body is */
    uint32_t n_syncs;        /* streams whose sync or sinks it waits for */
    struct sync *syncs, few_syncs[SYNCS_FEW]; /* syncs: these, or owned */
    struct access_entry *line;                /* NULL: none is wanted */
    uint32_t n_accepted, n_refused;           /* for it */
    char code[ACCOUNT_CODE_BYTES]; /* of an event that is refused; "": none */
    char *long_answer;             /* NULL: small */
    char small_answer[2 * ANSWER_SMALL];
};

/* One of the spool's streams as this worker sees it. */
struct stream_writer {
    struct spool_writer *writer; /* NULL: not opened */
    bool synced;                 /* ack = "synced" in the current plan */
    bool delivered;              /* ack = "delivered", from now on */
    int64_t delivered_ms;        /* most time to wait for that */
    uint64_t n_pending;          /* events, for the counters at commit */
    stats_cell *stored, *failed, *bytes;
    struct print_ring *prints; /* to its index's thread; NULL: it has no index */
    uint64_t policy8;          /* of a policy that stored pending events: the block is
                                  noted as of that one */
    uint64_t ids_field;        /* hash of the field of their ids; 0: their policy has no
                                  index for the stream */
    uint64_t n_records;        /* of n_pending: refusals, see refusals.h */
    struct {
        stats_cell *stored, *over_rate, *no_room, *failed;
    } records; /* NULL: it has none */
};

enum {
    STAGE_DECODE = DECIDE_DECODE,
    STAGE_CHECK = DECIDE_CHECK,
    STAGE_POLICY = DECIDE_POLICY,
    STAGE_STORE,
    STAGE_COMMIT,
    N_STAGES
};

struct meters {
    struct accounts accounts;
    struct account *nowhere; /* of requests without a route */
    stats_cell *stopped;
    uint64_t dead_told_ns, dead_untold; /* dead letters since the last line, */
    const struct account *dead_last;    /* and the route of the last one */
    struct stats_histogram *stages[N_STAGES];
    stats_cell *blocks;
};

struct ingest {
    struct ingest_conf conf;
    struct http_server *http;
    int listen_fds[PLAN_LISTENERS_MAX]; /* conf's */
    struct tls_door *doors[PLAN_LISTENERS_MAX];
    struct binding *current;
    struct binding *candidate; /* beside it, a canary or shadow; NULL: none */
    uint64_t candidate_parts;  /* its share */
    uint64_t candidate_number; /* of the last request that counted for it */
    struct binding *gone;      /* dropped in this turn */
    struct stream_writer writers[PLAN_STREAMS_MAX]; /* by the spool's stream id */
    /* As the supervisor opened them; writers[i].writer is set from here with a
     * binding. */
    struct spool_writer *opened[PLAN_STREAMS_MAX];
    struct event_batch batch;
    struct arena arena; /* of the request in hand */
    ev_check check;     /* reads the clock at the start of each turn */
    ev_prepare prepare; /* commits at the end of each turn */
    ev_async synced;    /* the housekeeper has synced something */
    ev_timer late;      /* runs while answers wait for sinks */
    ev_timer tied;      /* while they wait for other workers' requests */
    struct waiter *pending, **pending_tail; /* until the commit */
    struct waiter *syncing, **syncing_tail; /* until the sync, oldest first */
    struct waiter *free_waiters;
    uint32_t n_waiters; /* in use */
    uint32_t n_free_waiters;
    uint32_t n_delivering;     /* of these, for sinks */
    uint64_t pending_since_ns; /* first pending event; 0: nothing pending */
    uint64_t pending_bytes;
    uint64_t records;        /* bit i: the spool's stream i has pending refusals */
    double wall_ms, mono_ms; /* read once a turn */
    uint64_t turn_ns;        /* the same as mono_ms */
    /* Lines that each answer to the request in hand has, "" mostly. */
    char extra[CORS_BYTES];
    bool draining;
    uint64_t hand_over_ns; /* since when it hands over; 0: it does not */
    uint32_t n_taps;       /* that watch it */
    struct tap *taps[TAPS_MAX];
    struct str tapped_body; /* of the request in hand, for a refusal; mostly none */
    uint32_t sample;        /* counts down to a sampled request */
    bool sampling;
    uint64_t stage_began_ns;
    const struct http_view *view; /* of the request in hand; NULL: not known */
    struct access_lines access;
    double samples_since_ms; /* of a second with n_samples */
    uint32_t n_samples;
    struct meters m;
};

/* ---- waiter.c ---- */

struct waiter *waiter_get(struct ingest *in);             /* NULL: WAITERS_MAX in use */
char *waiter_text(struct waiter *w, size_t n);            /* where its answer may go */
void waiter_release(struct ingest *in, struct waiter *w); /* its room */
void waiter_put(struct ingest *in, struct waiter *w);
void waiters_put(struct ingest *in, struct waiter *w); /* and those behind it */
/* Its answer is due after the commit; its n events wait. mark, account, ends and
 * the answer are set. */
void waiter_join(struct ingest *in, struct waiter *w, uint32_t n);

/* ---- commit.c: one block a stream, then the answers ---- */

void commit_turn(struct ingest *in);
void commit_tell_dead(struct ingest *in); /* letters that the log does not name yet */
void commit_synced(struct ingest *in);    /* answers whose sync has come */
void commit_late(struct ingest *in, bool all); /* and those that waited too long */

/* ---- store.c ---- */

/* The accepted events of in->batch to the pending blocks; unless it is
 * STORE_OK nothing of them is pending then. */
enum store_result {
    STORE_OK = 0,
    STORE_FULL,        /* no room */
    STORE_UNWRITABLE,  /* no room: the disk takes no further segment */
    STORE_CROWDED,     /* too many wait for sinks */
    STORE_BLOCKED,     /* a sink that would be waited for can't be reached */
    STORE_KEYS_FULL,   /* too many keys of a dedup wait to be saved */
    STORE_KEYS_UNREAD, /* the disk did not give a page of its keys */
    STORE_TOO_LARGE    /* with its edits: no segment has room for it */
};
/* Marks those of in->batch that dedup has seen; hold gets the keys of the others. Not
 * STORE_OK: it can't tell. */
enum store_result store_unrepeated(struct ingest *in, struct request_state *p,
                                   struct dedup_hold *hold) MUST_USE;
enum store_result store_events(struct ingest *in, const struct binding *b,
                               const struct route *route, struct waiter *w) MUST_USE;
/* Whether an event of the binding's stream s may join the pending block, in which all have
 * their keys and ids at the same places. False: commit first. */
bool store_joins(struct ingest *in, const struct binding *b, int s);
/* Why the spool's stream has no room. */
enum store_result store_no_room(const struct ingest *in, int stream);

/* ---- meters.c ---- */

void meters_init(struct meters *m, uint32_t worker);
/* A request of a's is answered with that status, now. */
void meters_answered(struct account *a, const struct request_mark *m, int status);
void meters_stage(struct ingest *in, int stage); /* ends a sampled stage */

/* ---- candidate.c: only while in->candidate is set. Whose request is it? ---- */

struct binding *candidate_pick(struct ingest *in, struct http_request *r,
                               const struct http_view *v, uint32_t *unit);
/* b has refused its head. */
void candidate_head(struct ingest *in, struct binding *b, const struct http_view *v,
                    const struct refused *no, const struct request_state *p,
                    uint64_t spent_ns);

/* Its body was decided. */
struct candidate_body {
    const struct outcome *outcome; /* NULL: refused as a whole, for the code */
    const char *code;
    uint32_t raised;
    uint64_t began_ns;
    bool unknown; /* nobody knows who has sent it */
};
void candidate_body(struct ingest *in, const struct request_state *p,
                    const struct http_view *v, const struct candidate_body *t);

/* ---- access.c: the line of a request that was decided as o says; see access.h ---- */

/* unstored: NULL, or the code of the reason why no event of it is stored. */
void access_outcome(struct ingest *in, const struct request_state *p,
                    const struct outcome *o, size_t bytes, const char *unstored);
/* The same for a request that waits: w->line and what it says. */
void access_keep_outcome(struct ingest *in, const struct request_state *p,
                         const struct outcome *o, struct waiter *w);

/* ---- health.c ---- */

/* A listener's own path; false: the request is for another. */
bool health_answer(struct ingest *in, struct http_request *r, const struct http_view *v,
                   const char *path);

/* ---- ingest.c ---- */

/* Its whole body. */
void ingest_body(void *arg, struct http_request *r, const struct http_view *v);

/* ---- admission.c: the head of a request, and its end without a body ---- */

void admission_headers(void *arg, struct http_request *r, const struct http_view *v);
bool admission_progress(void *arg, struct http_request *r, const struct http_view *v,
                        uint64_t bytes);
bool admission_sent(void *arg, struct http_request *r, const struct http_view *v);
void admission_abort(void *arg, struct http_request *r);
/* Gives back p's binding and its reserved bytes. */
void admission_leave(struct ingest *in, struct request_state *p);
struct policy_request admission_request(const struct ingest *in,
                                        const struct http_view *v);

/* Answer with an error, count it. headers: "" or whole lines; refuse, for the request
 * in hand, adds in->extra. */
struct answering {
    struct ingest *in;
    struct http_request *r;
    struct waiter *w; /* of a request that waited; NULL: r is the one in hand */
    struct account *account;
    const struct request_mark *mark;
    uint32_t n_events;              /* that are refused with it */
    uint32_t n_rejected;            /* others of it, which count by themselves */
    const struct policy *hook_of;   /* whose hook gave the code; NULL: sluice gave it */
    const struct refused_body *own; /* the route's; NULL: the usual one */
};
void refuse_with(const struct answering *a, int status, const char *headers,
                 const struct answer_error *e);
void refuse(struct ingest *in, const struct answering *a, int status,
            const char *headers, const struct answer_error *e);
/* The three count the request's events, or n, as refused with it. */
void admission_refuse_whole(struct ingest *in, struct http_request *r,
                            const struct refused *no);
/* The same, whose answer is due after the commit. */
void admission_refuse_kept(struct ingest *in, struct http_request *r,
                           const struct refused *no);
void admission_unstored(struct ingest *in, struct http_request *r,
                        enum store_result why, uint32_t n,
                        uint32_t n_rejected); /* see answering */
/* The same for a client that gets its route's answer all the same: counts the code. */
const char *admission_unstored_code(enum store_result why); /* NULL of STORE_OK */
void admission_count_unstored(struct account *a, enum store_result why, int status,
                              uint32_t n);
/* Events that no stream took are not charged to the limits of their route. req: of the
 * request; gets its key. */
void admission_give_back(struct ingest *in, const struct request_state *p,
                         struct policy_request *req);
const char *admission_retry_after(const struct ingest *in); /* a header's line */
