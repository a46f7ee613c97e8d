/*
 * ingest - one request's way through a worker:
 *
 *   http/            admission.c: route? method? type? room? on_request?
 *     │                  └─ no ──► refuse (404 405 415 503 4xx), body unread
 *     ▼ whole body
 *   on_body
 *     │ decide_body    policy/   ── not JSON, too many ─► 400, 413
 *     │   scan_body        decode/ finds events
 *     │   check_events     plan/   marks events
 *     │   policy_on_events policy/ marks events, one entry into Lua
 *     │ dedup_mark     policy/   drops repeats
 *     │ outcome_of     plan/     ── nothing to store ───► 422
 *     ▼
 *   store_events       store.c   ── no room ────────────► 503
 *     │ pending blocks, one a stream
 *     ▼ end of the turn (on_prepare), or 1 MiB, or 1 ms
 *   commit_turn        commit.c  one write a stream
 *     │ written ──► 202
 *     ▼ synced
 *   commit_synced      commit.c  the housekeeper's fdatasync ──► 202
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/handover.h"
#include "ingest/internal.h"
#include "ingest/refusals.h"
#include "ingest/sampling.h"
#include "ingest/tapping.h"
#include "policy/run/auth.h"
#include "policy/run/limits.h"
#include "policy/run/run.h"

/* Of requests that wait for their sinks while another process waits for this one. */
enum { DELIVERS_MS = 3000 };
static const double LATE_LOOK_S = 0.05, TIED_LOOK_S = 0.002;

enum {
    ARENA_MAX_BYTES = 64 << 20, /* of one request: edits and messages */
    TURN_BYTES = 1 << 20,
    TURN_NS = 1000000
};

static void on_stage(void *arg, enum decide_stage stage)
{
    meters_stage(arg, (int)stage);
}

/* Fates for all events of the body, and their sums; false: refused and answered. */
static bool decide(struct ingest *in, struct http_request *r, const struct http_view *v,
                   const struct request_state *p, struct outcome *o)
{
    const struct decide_meter meter = {on_stage, in};
    struct policy_request req = admission_request(in, v);
    uint64_t began = UNLIKELY(in->candidate != NULL) ? clock_mono_ns() : 0;
    struct refused no;
    uint32_t raised;
    bool ok;

    if (UNLIKELY(p->key_table != 0)) {
        policy_set_key(p->binding->state, p->key_table, p->key_row, &req);
    }
    if (UNLIKELY(p->auth != 0)) {
        policy_set_auth(p->binding->state, p->route, p->auth, &req);
    }
    ok = decide_body(p->binding->state, p->route, (enum scan_shape)p->shape, &req,
                     v->body, &in->batch, in->sampling ? &meter : NULL, &raised, &no);
    if (UNLIKELY(p->route->limits != NULL)) {
        limits_lines(p->binding->state, p->route, in->extra, sizeof in->extra);
    }
    if (ok) {
        account_received(p->account, in->batch.n);
        if (UNLIKELY(in->batch.n_cut > 0)) {
            account_cut(p->account, in->batch.n_cut);
        }
        outcome_of(p->route, &in->batch, o);
    } else if (UNLIKELY(no.auth != AUTH_OK)) {
        /* Nothing is kept of a body that anybody could have sent. */
        in->tapped_body = (struct str){NULL, 0};
        account_auth(p->account, no.auth);
        admission_refuse_whole(in, r, &no);
        sampling_whole(in, p->binding, p->account, v, no.status, &no.error, true);
    } else if (p->route->on_refused != NULL && !no.limited &&
               refusals_body(in, p, v, &no)) {
        admission_refuse_kept(in, r, &no);
        sampling_whole(in, p->binding, p->account, v, no.status, &no.error, false);
    } else {
        admission_refuse_whole(in, r, &no);
        sampling_whole(in, p->binding, p->account, v, no.status, &no.error, false);
    }
    if (UNLIKELY(raised > 0)) {
        account_raised(p->account, HOOK_EVENT, raised);
        sampling_raised(in, p, v);
        stats_add(in->m.stopped, policy_stopped(p->binding->state));
    }
    if (UNLIKELY(in->candidate != NULL)) {
        candidate_body(in, p, v,
                       &(struct candidate_body){.outcome = ok ? o : NULL,
                                                .code = no.error.code,
                                                .unknown = !ok && no.auth != AUTH_OK,
                                                .raised = raised,
                                                .began_ns = began});
    }
    return ok;
}

/* The ends of the events once the request is answered as o says; rejected ones are
 * counted by then. */
static struct ends ends_of(const struct ingest *in, const struct outcome *o)
{
    uint32_t n = in->batch.n;

    return o->store ? (struct ends){.stored = o->accepted - o->dropped - o->dead,
                                    .dropped = o->dropped - o->repeats,
                                    .duplicate = o->repeats,
                                    .dead = o->dead}
                    : (struct ends){.refused = n - o->rejected};
}

enum { RETRY_BYTES = 40 };

/* The time that the bucket needs, if a limit refused; otherwise the clock is asked, and
 * only when the answer tells it. */
static const char *retry_after(const struct ingest *in, const struct outcome *o,
                               char out[RETRY_BYTES])
{
    if (LIKELY(o->status != 429)) {
        return "";
    }
    if (o->wait_ms <= 0) {
        return admission_retry_after(in);
    }
    (void)snprintf(out, RETRY_BYTES, "Retry-After: %u\r\n", decide_retry_s(o->wait_ms));
    return out;
}

/* unstored: NULL, or why no event of it is stored. */
static void send_answer(struct ingest *in, struct http_request *r,
                        const struct request_state *p, const struct outcome *o,
                        const char *unstored)
{
    char small[ANSWER_SMALL], lines[HEAD_BYTES], after[RETRY_BYTES];
    size_t bound = answer_bound(&in->batch, o);
    char *text = bound <= sizeof small ? small : mem_alloc(bound);
    size_t n = answer_events(&in->batch, o, text);

    http_answer(r, o->status,
                answer_head_outcome(o, retry_after(in, o, after), in->extra, lines),
                (struct str){text, n});
    meters_answered(p->account, &p->mark, o->status);
    if (UNLIKELY(in->access.plan != NULL)) {
        access_outcome(in, p, o, n, unstored);
    }
    if (text != small) {
        free(text);
    }
}

static void answer_now(struct ingest *in, struct http_request *r,
                       const struct request_state *p, const struct outcome *o)
{
    const struct ends ends = ends_of(in, o);

    account_ends(p->account, &ends);
    send_answer(in, r, p, o, NULL);
}

/* No room, or too many wait: 503, or what the route answers all the same. */
static void answer_unstored(struct ingest *in, struct http_request *r,
                            const struct request_state *p, const struct outcome *o,
                            enum store_result why)
{
    if (LIKELY(o->answer == NULL || !o->answer->same_unstored)) {
        admission_unstored(in, r, why, in->batch.n - o->rejected, o->rejected);
        return;
    }
    admission_count_unstored(p->account, why, o->status, in->batch.n - o->rejected);
    send_answer(in, r, p, o, admission_unstored_code(why));
}

/* Lines and body, for when it is due: the route may be gone by then. */
static void keep_answer(struct ingest *in, struct waiter *w, const struct outcome *o)
{
    char buffer[HEAD_BYTES], after[RETRY_BYTES];
    const char *lines =
        answer_head_outcome(o, retry_after(in, o, after), in->extra, buffer);
    size_t n = lines[0] == '\0' ? 0 : strlen(lines) + 1;
    char *text = waiter_text(w, n + answer_bound(&in->batch, o));

    if (UNLIKELY(n > 0)) {
        memcpy(text, lines, n);
    }
    w->same_unstored = o->answer != NULL && o->answer->same_unstored;
    w->headers_bytes = (uint32_t)n;
    w->own_bytes = n == 0 ? 0 : (uint32_t)(n - 1 - strlen(in->extra));
    w->answer_bytes = (uint32_t)answer_events(&in->batch, o, text + n);
}

static void await_commit(struct ingest *in, const struct request_state *p,
                         const struct outcome *o, struct waiter *w)
{
    w->account = p->account;
    w->ends = ends_of(in, o);
    keep_answer(in, w, o);
    if (UNLIKELY(in->access.plan != NULL)) {
        access_keep_outcome(in, p, o, w);
    }
    waiter_join(in, w, in->batch.n - o->rejected);
}

/* To the pending blocks; the answer waits for the commit. */
static enum store_result accept_body(struct ingest *in, struct http_request *r,
                                     struct request_state *p,
                                     struct policy_request *req,
                                     const struct outcome *o, struct dedup_hold *hold)
{
    struct waiter *w = waiter_get(in);
    enum store_result stored;

    if (w == NULL) {
        dedup_finish(hold, false);
        admission_give_back(in, p, req);
        answer_unstored(in, r, p, o, STORE_CROWDED);
        return STORE_CROWDED;
    }
    w->req = r;
    if (UNLIKELY(hold->n + hold->n_ties > 0)) {
        w->hold = *hold;
    }
    w->mark = p->mark;
    w->status = o->status;
    if (p->reserved > 0) {
        w->reserved = p->reserved;
        w->reserved_stream = p->binding->stream_ids[p->route->stream];
        p->reserved = 0;
    }
    w->own_answer = o->answer != NULL;
    if (UNLIKELY(refused_body_of(p->route) != NULL)) {
        w->refused_body = refused_body_of(p->route);
        w->binding = p->binding;
        binding_hold(w->binding);
    }
    stored = store_events(in, p->binding, p->route, w);
    if (stored != STORE_OK) {
        waiter_put(in, w);
        admission_give_back(in, p, req);
        answer_unstored(in, r, p, o, stored);
        return stored;
    }
    await_commit(in, p, o, w);
    meters_stage(in, STAGE_STORE);
    return STORE_OK;
}

/* Nothing of it is stored but records of its refusals. */
static void answer_kept(struct ingest *in, struct http_request *r,
                        const struct request_state *p, const struct outcome *o)
{
    struct waiter *w = waiter_get(in);

    if (w == NULL) {
        answer_now(in, r, p, o);
        return;
    }
    w->req = r;
    w->mark = p->mark;
    w->status = o->status;
    w->own_answer = o->answer != NULL || o->refused_body != NULL;
    await_commit(in, p, o, w);
}

void ingest_body(void *arg, struct http_request *r, const struct http_view *v)
{
    struct ingest *in = arg;
    struct request_state *p = http_user(r);
    struct policy_request req;
    struct dedup_hold hold;
    struct outcome o;
    bool kept;

    in->view = v;
    hold.n = hold.n_ties = 0;
    in->sampling = --in->sample == 0;
    if (in->sampling) {
        in->sample = SAMPLE_EVERY;
        in->stage_began_ns = clock_mono_ns();
    }
    /* All that is read in one turn came with the headers, as far as can be told. */
    p->mark.whole_ns = in->turn_ns > p->mark.began_ns ? in->turn_ns : p->mark.began_ns;
    req = admission_request(in, v);
    answer_head_common(p->route, &req, in->extra);
    if (UNLIKELY(in->n_taps > 0) && p->shape != SCAN_QUERY) {
        in->tapped_body = v->body; /* a query may hold a key */
    }
    if (decide(in, r, v, p, &o)) {
        enum store_result marked = STORE_OK;

        if (UNLIKELY(p->binding->plan->n_dedups > 0) && o.store) {
            marked = store_unrepeated(in, p, &hold);
            outcome_of(p->route, &in->batch, &o);
        }
        if (o.rejected > 0) {
            sampling_events(in, p, v, &o);
        }
        kept = UNLIKELY(o.rejected > 0 && p->route->on_refused != NULL) &&
               marked == STORE_OK && refusals_events(in, p, v, &o);
        if (UNLIKELY(marked != STORE_OK)) {
            dedup_finish(&hold, false);
            admission_give_back(in, p, &req);
            answer_unstored(in, r, p, &o, marked);
        } else if (o.store && (o.accepted > o.dropped || hold.n_ties > 0)) {
            marked = accept_body(in, r, p, &req, &o, &hold);
        } else {
            dedup_finish(&hold, o.store); /* all its events are repeats, or dropped */
            if (kept) {
                answer_kept(in, r, p, &o);
            } else {
                answer_now(in, r, p, &o);
            }
        }
        if (UNLIKELY(in->n_taps > 0)) {
            tapping_events(in, p, &o, admission_unstored_code(marked));
        }
    }
    in->tapped_body = (struct str){NULL, 0};
    admission_leave(in, p);
    if (in->pending_bytes >= TURN_BYTES ||
        (in->pending_since_ns != 0 &&
         clock_mono_ns() - in->pending_since_ns > TURN_NS)) {
        commit_turn(in);
    }
}

static void on_prepare(struct ev_loop *loop, ev_prepare *w, int events)
{
    struct ingest *in = OUTER(w, struct ingest, prepare);

    (void)loop;
    (void)events;
    commit_turn(in);
    bindings_retire(in);
}

/* The turn's clocks, before any request of it. */
static void on_check(struct ev_loop *loop, ev_check *w, int events)
{
    struct ingest *in = OUTER(w, struct ingest, check);

    (void)loop;
    (void)events;
    in->wall_ms = (double)clock_wall_ms();
    in->turn_ns = clock_mono_ns();
    in->mono_ms = (double)in->turn_ns / 1e6;
}

static void on_synced(struct ev_loop *loop, ev_async *w, int events)
{
    (void)loop;
    (void)events;
    commit_synced(OUTER(w, struct ingest, synced));
}

static void on_tied(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    commit_synced(OUTER(w, struct ingest, tied));
}

static void on_late(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    commit_late(OUTER(w, struct ingest, late), false);
}

struct ingest *ingest_new(const struct ingest_conf *c)
{
    struct ingest *in = mem_zalloc(sizeof *in);

    in->conf = *c;
    memcpy(in->listen_fds, c->listen_fds, c->n_listeners * sizeof *c->listen_fds);
    in->conf.listen_fds = in->listen_fds;
    if (c->doors != NULL) {
        memcpy(in->doors, c->doors, c->n_listeners * sizeof *c->doors);
    }
    in->conf.doors = in->doors;
    in->sample = SAMPLE_EVERY;
    in->pending_tail = &in->pending;
    in->syncing_tail = &in->syncing;
    in->wall_ms = (double)clock_wall_ms();
    in->turn_ns = clock_mono_ns();
    in->mono_ms = (double)in->turn_ns / 1e6;
    arena_init(&in->arena, ARENA_MAX_BYTES);
    event_batch_init(&in->batch, &in->arena);
    meters_init(&in->m, c->worker);
    ev_prepare_init(&in->prepare, on_prepare);
    ev_set_priority(&in->prepare, EV_MINPRI);
    ev_prepare_start(c->loop, &in->prepare);
    ev_check_init(&in->check, on_check);
    ev_set_priority(&in->check, EV_MAXPRI);
    ev_check_start(c->loop, &in->check);
    ev_async_init(&in->synced, on_synced);
    ev_async_start(c->loop, &in->synced);
    ev_timer_init(&in->late, on_late, 0., LATE_LOOK_S);
    ev_timer_init(&in->tied, on_tied, 0., TIED_LOOK_S);
    return in;
}

void ingest_drain(struct ingest *in)
{
    in->draining = true;
    http_server_drain(in->http);
}

void ingest_last_call(struct ingest *in)
{
    http_server_last_call(in->http);
}

void ingest_no_call(struct ingest *in)
{
    http_server_no_call(in->http);
}

bool ingest_called(const struct ingest *in)
{
    return http_server_called(in->http);
}

void ingest_hand_over(struct ingest *in,
                      void (*hand)(void *arg, const struct http_handed *h), void *arg)
{
    in->hand_over_ns = clock_mono_ns();
    http_server_hand_over(in->http, hand, arg);
}

void ingest_hurry(struct ingest *in)
{
    http_server_hurry(in->http);
    if (in->hand_over_ns != 0 &&
        clock_mono_ns() - in->hand_over_ns > (uint64_t)DELIVERS_MS * 1000000u) {
        commit_late(in, true);
    }
}

void ingest_adopt(struct ingest *in, const struct http_handed *h)
{
    http_server_adopt(in->http, h);
}

void ingest_rest(struct ingest *in, bool on)
{
    http_server_rest(in->http, on);
}

bool ingest_idle(const struct ingest *in)
{
    return in->pending == NULL && in->syncing == NULL &&
           http_server_open(in->http) == 0;
}

void ingest_free(struct ingest *in)
{
    if (in->current != NULL) {
        commit_turn(in);
        http_server_free(in->http);
        waiters_put(in, in->syncing); /* they may hold a binding */
        bindings_retire(in);
        binding_free(in->candidate);
        binding_free(in->current); /* no request holds it now */
    }
    ev_prepare_stop(in->conf.loop, &in->prepare);
    ev_check_stop(in->conf.loop, &in->check);
    ev_async_stop(in->conf.loop, &in->synced);
    ev_timer_stop(in->conf.loop, &in->late);
    ev_timer_stop(in->conf.loop, &in->tied);
    for (uint32_t i = 0; i < PLAN_STREAMS_MAX; i++) {
        if (in->opened[i] != NULL) {
            spool_writer_close(in->opened[i]);
        }
    }
    while (in->free_waiters != NULL) {
        struct waiter *next = in->free_waiters->next;

        free(in->free_waiters);
        in->free_waiters = next;
    }
    event_batch_fini(&in->batch);
    arena_fini(&in->arena);
    access_fini(&in->access);
    commit_tell_dead(in);
    accounts_fini(&in->m.accounts);
    free(in);
}
