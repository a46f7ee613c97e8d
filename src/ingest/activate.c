/* A worker takes a policy over: at once, or for a share of its requests first. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "index/print_ring.h"
#include "ingest/internal.h"
#include "ingest/refusals.h"
#include "ingest/sampling.h"
#include "ingest/tapping.h"

enum { BUFFERED_MAX_BYTES = 48 << 20 };

/* anew: its settings of the streams hold from now on. */
static void bind_writers(struct ingest *in, const struct binding *b, bool anew)
{
    for (uint32_t i = 0; i < b->n_writers; i++) {
        struct stream_writer *o = &in->writers[b->stream_ids[i]];
        bool dead = (int)i == b->dead;
        const char *name = dead ? "dead" : b->plan->streams[i].name;
        char labels[256], pair[160];
        struct stats_owner *before;

        if (!anew && o->writer != NULL) {
            continue;
        }
        o->synced = !dead && b->plan->streams[i].ack == ACK_SYNCED;
        o->delivered = !dead && b->plan->streams[i].ack == ACK_DELIVERED;
        o->delivered_ms = dead ? 0 : b->plan->streams[i].delivered_ms;
        if (in->conf.prints != NULL) {
            o->prints =
                print_rings_get(in->conf.prints, b->stream_ids[i], in->conf.worker);
        }
        if (o->writer != NULL) {
            spool_writer_waits(o->writer, o->synced);
            continue;
        }
        before = stats_own(spool_stream_series(in->conf.spool, b->stream_ids[i]));
        o->writer = b->spool_writers[i];
        spool_writer_waits(o->writer, o->synced);
        (void)stats_label_pair(pair, sizeof pair, "stream", name);
        (void)snprintf(labels, sizeof labels, "%s", pair);
        o->stored = stats_counter("sluice_stored_events_total",
                                  "Events written to the spool.", labels);
        o->bytes = stats_counter("sluice_stored_bytes_total",
                                 "Event bytes written to the spool.", labels);
        o->failed = stats_counter(
            "sluice_store_failures_total",
            "Events whose block could not be written; their requests got 503.", labels);
        (void)stats_own(before);
    }
    refusals_bind(in, b);
}

/* A kernel gives the lowest descriptor that is free: a quarter of them stays for
 * segments, sinks, reloads and the admin listener, however many clients come. */
static int max_descriptor(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur > INT_MAX) {
        return INT_MAX;
    }
    return (int)(l.rlim_cur - l.rlim_cur / 4);
}

static struct http_limits limits_of(const struct server_plan *s)
{
    return (struct http_limits){.max_body = s->max_body,
                                .max_headers_bytes = s->max_headers_bytes,
                                .max_connections = s->max_connections,
                                .max_per_address = s->max_per_address,
                                .max_descriptor = max_descriptor(),
                                .max_buffered = BUFFERED_MAX_BYTES,
                                .header_timeout_ms = s->header_timeout_ms,
                                .body_timeout_ms = s->body_timeout_ms,
                                .idle_timeout_ms = s->idle_timeout_ms,
                                .need_length = true};
}

struct http_listener ingest_listener(const struct listener_plan *l)
{
    static const enum http_forwarded headers[] = {
        [FORWARDED_NONE] = HTTP_FORWARDED_NONE,
        [FORWARDED_X_FOR] = HTTP_X_FORWARDED_FOR,
        [FORWARDED_RFC] = HTTP_FORWARDED};

    return (struct http_listener){.name = l->address == NULL ? "--listen" : l->address,
                                  .max_connections = l->max_connections,
                                  .max_per_address = l->max_per_address,
                                  .proxy_protocol = l->proxy_protocol,
                                  .forwarded = headers[l->forwarded],
                                  .trusted = l->trusted,
                                  .n_trusted = l->n_trusted,
                                  .trusts_local = l->trusts_local,
                                  .admits = networks_allow,
                                  .access = l->access};
}

/* A policy with other addresses does not come so far. */
static void set_listeners(struct ingest *in, const struct plan *plan, bool anew)
{
    for (uint32_t i = 0; i < in->conf.n_listeners && i < plan->n_listeners; i++) {
        const struct tls_plan *t = plan->listeners[i].tls;
        struct http_listener l = ingest_listener(&plan->listeners[i]);

        if (t != NULL) {
            l.tls = (struct http_tls){in->doors[i], t->handshake_timeout_ms,
                                      t->max_handshakes};
        }

        if (anew) {
            l.name = in->listen_fds[i] < 0 ? NULL : l.name;
            http_server_listen(in->http, in->listen_fds[i], &l);
        } else {
            http_server_listener(in->http, i, &l);
        }
    }
}

_Static_assert((size_t)REFUSED_BODY_BYTES <= (size_t)HTTP_REFUSAL_BYTES,
               "no->text has room for it");

/* The body that the route has for it, and whole lines. */
static void own_refusal(const struct refused_body *own, const char *extra,
                        struct http_refusal *no)
{
    const char *type = "";

    if (UNLIKELY(own != NULL) && no->text != NULL) {
        no->n = refused_body_write(
            own, &(struct refused_reason){no->status, no->code, no->detail}, no->text);
        type = own->type_line;
    }
    (void)snprintf(no->lines, HTTP_LINES_BYTES, "%s%s", type,
                   strlen(type) + strlen(extra) < HTTP_LINES_BYTES ? extra : "");
}

/* A page of another origin can read the reason of a refusal only with its route's header
 * lines. A request that was taken is refused by the policy that took it. */
static void on_refusal(void *arg, struct http_request *r, const struct http_view *v,
                       struct http_refusal *no)
{
    struct ingest *in = arg;
    struct request_mark mark = {0};
    const struct request_state *state = NULL;
    const struct binding *b = in->current;
    struct account *a = in->m.nowhere;
    char allow[160];
    bool taken = false;

    if (r != NULL) {
        state = http_user(r);
        mark = state->mark;
        taken = state->binding != NULL;
        b = taken ? state->binding : b;
    }
    if (v != NULL) {
        struct policy_request req = admission_request(in, v);
        const struct route *route = taken ? state->route
                                          : plan_route(b->plan, v->listener, v->method,
                                                       v->path, allow, sizeof allow);

        if (route == NULL) {
            answer_head_other(b->plan, allow, &req, in->extra);
        } else {
            answer_head_common(route, &req, in->extra);
        }
        a = route == NULL ? a : b->accounts[route->index];
        own_refusal(refused_body_of(route), in->extra, no);
    }
    if (v != NULL) {
        mark.method = (uint8_t)method_of(v->method);
    } else if (no->status == 501) {
        mark.method = METHOD_OTHER; /* a word that HTTP's parser does not know */
    }
    meters_answered(a, &mark, no->status);
    if (UNLIKELY(in->access.plan != NULL)) {
        in->view = v;
        access_now(in, state, a, &mark,
                   &(struct access_said){.status = no->status,
                                         .code = no->code,
                                         .refused = 1,
                                         .bytes_out = no->n,
                                         .client = r == NULL ? (struct str){"", 0}
                                                             : http_peer(r)});
    }
    account_received(a, 1);
    account_refused(a, no->code, no->status, 1);
    if (UNLIKELY(in->n_taps > 0)) {
        tapping_refusal(in, &(struct tapped_refusal){
                                .account = a, .status = no->status, .code = no->code});
    }
    sampling_whole(in, NULL, a, v, no->status, &(struct answer_error){.code = no->code},
                   true);
}

/* By name, so that their counters go on over reloads. */
static void bind_accounts(struct ingest *in, struct binding *b)
{
    const struct plan *plan = b->plan;

    if (b->accounts != NULL) {
        return;
    }
    b->accounts = mem_alloc((plan->n_routes + 1) * sizeof *b->accounts);
    for (uint32_t i = 0; i < plan->n_routes; i++) {
        char name[1200];

        (void)snprintf(name, sizeof name, "%s %s", plan->routes[i].method,
                       plan->routes[i].path);
        b->accounts[plan->routes[i].index] = account_of(&in->m.accounts, name);
        account_hooks(b->accounts[plan->routes[i].index], plan->routes[i].has_on_event,
                      plan->routes[i].has_on_request);
    }
}

void ingest_bind(struct ingest *in, struct binding *b)
{
    static const struct http_ops ops = {admission_headers,  ingest_body,
                                        admission_progress, admission_abort,
                                        on_refusal,         admission_sent};
    struct http_limits limits = limits_of(&b->plan->server);
    struct binding *old = in->current;

    commit_turn(in);
    bind_writers(in, b, true);
    bind_accounts(in, b);
    in->current = b;
    access_bind(&in->access, in->conf.lines, b->plan->access);
    if (old == NULL) {
        in->http = http_server_new(in->conf.loop, &limits, &ops, in);
        set_listeners(in, b->plan, true);
    } else {
        http_server_limits(in->http, &limits);
        set_listeners(in, b->plan, false);
        binding_unbind(old);
    }
}

void ingest_try(struct ingest *in, struct binding *b)
{
    uint32_t n_old = 0, n_new = 0;

    bind_writers(in, b, false);
    bind_accounts(in, b);
    if (b->plan->rollout.kind == ROLLOUT_CANARY) {
        tally_split(b->plan->rollout.share, &n_old, &n_new);
    }
    tally_clear(&in->current->tally, n_old);
    tally_clear(&b->tally, n_new);
    in->candidate_parts = share_parts(b->plan->rollout.share);
    in->candidate_number = 0;
    in->candidate = b;
}

void ingest_end_rollout(struct ingest *in, bool promote)
{
    struct binding *b = in->candidate;

    in->candidate = NULL;
    if (promote) {
        ingest_bind(in, b);
    } else {
        binding_unbind(b);
    }
}
