#include "ingest/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/ring.h"
#include "base/attr.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ingest/internal.h"
#include "plan/access.h"
#include "plan/auth.h"
#include "plan/key_table.h"
#include "policy/run/auth.h"

void access_bind(struct access_lines *a, struct ring *ring,
                 const struct access_plan *plan)
{
    a->ring = ring;
    a->plan = ring == NULL ? NULL : plan;
    if (a->plan == NULL) {
        return;
    }
    a->chance = plan->sample >= 1 ? UINT64_MAX
                                  : (uint64_t)(plan->sample * 18446744073709551615.0);
    if (a->random == 0) {
        a->random = clock_mono_ns() | 1;
    }
}

void access_fini(struct access_lines *a)
{
    free(a->query);
    a->query = NULL;
    while (a->free != NULL) {
        struct access_entry *next = a->free->next;

        free(a->free);
        a->free = next;
    }
}

/* xorshift64*: a sample needs no better one. */
static bool is_sampled(struct access_lines *a)
{
    uint64_t x = a->random;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    a->random = x;
    return x * 0x2545F4914F6CDD1Dull <= a->chance;
}

/* Without the parameters of any route that hold keys: a client may have mistaken the
 * path. out has query.n bytes. */
static struct str without_keys(const struct plan *plan, struct str query, char *out)
{
    for (uint32_t i = 0; i < plan->n_routes && query.n > 0; i++) {
        if (auth_in_query(plan->routes[i].auth)) {
            query = auth_without_keys(plan->routes[i].auth, query, out);
        }
    }
    return query;
}

/* Its own memory: a request that is refused before its body gives the arena's back to
 * nobody. Bounded by the size of a head. */
static char *query_room(struct access_lines *a, size_t n)
{
    if (n > a->query_room) {
        a->query_room = n;
        a->query = mem_realloc(a->query, n);
    }
    return a->query;
}

static void put_path(struct ingest *in, const struct request_state *state,
                     const struct http_view *v, struct access_entry *e)
{
    size_t n = v->path.n < ACCESS_PATH_BYTES ? v->path.n : ACCESS_PATH_BYTES;
    struct str query = v->query;
    size_t room;
    char *out;

    memcpy(e->path, v->path.p, n);
    if (query.n > 0) {
        out = query_room(&in->access, 2 * query.n);
        query = without_keys(in->current->plan, query, out);
        if (query.n > 0 && state != NULL && state->route != NULL &&
            auth_in_query(state->route->auth)) {
            query = auth_without_keys(state->route->auth, query, out + v->query.n);
        }
    }
    if (query.n > 0 && n < ACCESS_PATH_BYTES) {
        e->path[n++] = '?';
        room = ACCESS_PATH_BYTES - n;
        room = query.n < room ? query.n : room;
        memcpy(e->path + n, query.p, room);
        n += room;
    }
    e->path_n = (uint16_t)n;
}

/* The accepted key by its label, or by the name of its keys. */
static void put_key(const struct request_state *s, struct access_entry *e)
{
    const struct plan *plan;
    struct policy_request req;

    if (s == NULL || s->key_table == 0 || s->binding == NULL) {
        return;
    }
    plan = s->binding->plan;
    for (uint32_t i = 0; i < plan->n_keys; i++) {
        const struct key_plan *k = &plan->keys[i];

        if (k->table + 1 != s->key_table) {
            continue;
        }
        if (k->label >= 0) {
            policy_set_key(s->binding->state, s->key_table, s->key_row, &req);
            access_copy(e->key, sizeof e->key,
                        csv_table_cell(req.key_rows, s->key_row, k->label));
        } else {
            access_copy(e->key, sizeof e->key, str_of(k->name));
        }
        return;
    }
}

static void capture(struct ingest *in, const struct request_state *state,
                    struct str client, struct access_entry *e)
{
    const struct http_view *v = in->view;

    e->client[0] = e->method[0] = e->trace[0] = e->key[0] = '\0';
    e->path_n = 0;
    e->bytes_in = 0;
    if (v == NULL) {
        access_copy(e->client, sizeof e->client, client);
        return;
    }
    access_copy(e->client, sizeof e->client, v->peer);
    access_copy(e->method, sizeof e->method, v->method);
    if (state != NULL) {
        access_copy(e->trace, sizeof e->trace, str_of(state->mark.trace));
    }
    put_path(in, state, v, e);
    put_key(state, e);
    e->bytes_in = v->sent.n;
}

static bool is_refused(const struct access_said *said)
{
    return said->status >= 400 || said->refused > 0;
}

static void put(struct ingest *in, const struct access_entry *e,
                const struct account *account, const struct request_mark *m,
                const struct access_said *said)
{
    struct access_lines *a = &in->access;
    const struct access_result r = {
        .time_ms = (int64_t)in->wall_ms,
        .route = account_name(account),
        .status = said->status,
        .code = said->code == NULL ? "" : said->code,
        .accepted = said->accepted,
        .refused = said->refused,
        .bytes_out = said->bytes_out,
        .took_ns = m->began_ns == 0 ? 0 : clock_mono_ns() - m->began_ns};

    ring_put(a->ring, a->line, access_format(a->plan->json, e, &r, a->line));
}

void access_now(struct ingest *in, const struct request_state *state,
                const struct account *account, const struct request_mark *m,
                const struct access_said *said)
{
    struct access_lines *a = &in->access;

    if (a->plan == NULL ||
        (!is_sampled(a) && !(a->plan->always_refused && is_refused(said)))) {
        return;
    }
    capture(in, state, said->client, &a->now);
    put(in, &a->now, account, m, said);
}

struct access_entry *access_keep(struct ingest *in, const struct request_state *state)
{
    struct access_lines *a = &in->access;
    struct access_entry *e = a->free;
    bool sampled;

    if (a->plan == NULL) {
        return NULL;
    }
    sampled = is_sampled(a);
    if (!sampled && !a->plan->always_refused) {
        return NULL;
    }
    if (e != NULL) {
        a->free = e->next;
    } else if (a->n_entries < ACCESS_ENTRIES_MAX) {
        a->n_entries++;
        e = mem_alloc(sizeof *e);
    } else {
        ring_drop(a->ring);
        return NULL;
    }
    capture(in, state, (struct str){"", 0}, e);
    e->sampled = sampled;
    return e;
}

void access_drop(struct ingest *in, struct access_entry *e)
{
    e->next = in->access.free;
    in->access.free = e;
}

void access_late(struct ingest *in, struct access_entry *e,
                 const struct account *account, const struct request_mark *m,
                 const struct access_said *said)
{
    if (in->access.plan != NULL && (e->sampled || is_refused(said))) {
        put(in, e, account, m, said);
    }
    access_drop(in, e);
}

static const char *first_code(const struct event_batch *b, const struct outcome *o)
{
    for (uint32_t i = 0; i < b->n && o->rejected > 0; i++) {
        if (b->events[i].fate == EVENT_REJECT) {
            return b->events[i].code;
        }
    }
    return "";
}

void access_outcome(struct ingest *in, const struct request_state *p,
                    const struct outcome *o, size_t bytes, const char *unstored)
{
    uint32_t accepted = o->store && unstored == NULL ? o->accepted : 0;

    access_now(in, p, p->account, &p->mark,
               &(struct access_said){
                   .status = o->status,
                   .code = unstored != NULL ? unstored : first_code(&in->batch, o),
                   .accepted = accepted,
                   .refused = in->batch.n - accepted,
                   .bytes_out = bytes});
}

void access_keep_outcome(struct ingest *in, const struct request_state *p,
                         const struct outcome *o, struct waiter *w)
{
    w->line = access_keep(in, p);
    w->n_accepted = o->store ? o->accepted : 0;
    w->n_refused = in->batch.n - w->n_accepted;
    (void)snprintf(w->code, sizeof w->code, "%s", first_code(&in->batch, o));
}
