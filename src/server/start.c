/* The start, step by step, once a policy is there. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/access.h"
#include "base/cpus.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "index/print_ring.h"
#include "policy/run/run.h"
#include "server/admin/growth.h"
#include "server/admin/note.h"
#include "server/admin/refusing.h"
#include "server/certificates.h"
#include "server/index/indexes.h"
#include "server/internal.h"
#include "server/keys/keystores.h"
#include "server/lines.h"
#include "server/page/data.h"
#include "server/page/history.h"
#include "server/policies/snapshots.h"
#include "server/process.h"
#include "server/quotas.h"
#include "server/renewal.h"
#include "server/rights.h"
#include "server/sinks/taken.h"
#include "server/unused.h"
#include "server/upgrade/place.h"
#include "server/upgrade/predecessor.h"
#include "shared/samples.h"

char *start_path(const char *dir, const char *name)
{
    size_t n = strlen(dir) + strlen(name) + 2;
    char *path = mem_alloc(n);

    if (name[0] == '/') {
        (void)snprintf(path, n, "%s", name);
    } else {
        (void)snprintf(path, n, "%s/%s", dir, name);
    }
    return path;
}

static uint32_t n_workers_of(const struct plan *plan)
{
    return plan->server.workers > 0 ? plan->server.workers : cpus_allowed();
}

/* Connections and segments are descriptors. */
void start_raise_limits(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
    }
}

/* For one that has ended, or does right now. */
enum { LOCK_MS = 5000 };

static bool open_spool(struct server *s, const struct plan *plan, struct err *e)
{
    if (mkdir(s->conf.data_dir, 0755) != 0 && errno != EEXIST) {
        return err_errno(e, errno, "can't make the data directory %s",
                         s->conf.data_dir);
    }
    s->spool_dir = start_path(s->conf.data_dir, plan->spool.dir);
    s->spool =
        spool_open(&(struct spool_conf){.dir = s->spool_dir,
                                        .segment_bytes = plan->spool.segment_bytes,
                                        .n_workers = s->n_workers,
                                        .lock_ms = s->place->taken ? LOCK_MS : 0},
                   e);
    return s->spool != NULL;
}

static void on_freed(void *arg, struct binding *b)
{
    struct server *s = arg;

    generations_freed(&s->generations, b);
    sinks_retire_rest(s);
}

static void on_differs(void *arg, struct shadow_sample *x)
{
    struct server *s = arg;

    rollout_sample(&s->rollout, x);
}

/* A rollout's side decides too. */
static uint64_t policies_now(const void *arg)
{
    const struct server *s = arg;

    return (s->live == NULL ? 0 : 2 * s->live->number) + (s->rollout.g != NULL);
}

static bool make_workers(struct server *s, struct err *e)
{
    struct tls_door *doors[PLAN_LISTENERS_MAX];
    int fds[PLAN_LISTENERS_MAX];

    lines_open(s);
    s->samples = samples_new();
    s->history = history_new(s->loop);
    s->refusing = refusing_new(s->loop, policies_now, s);
    s->growth = growth_new(s->loop);
    s->page_data = page_data_new();
    s->workers = mem_zalloc(s->n_workers * sizeof *s->workers);
    for (uint32_t i = 0; i < s->n_workers; i++) {
        for (uint32_t k = 0; k < s->listeners.n; k++) {
            const struct listening *l = &s->listeners.list[k];

            fds[k] = l->fds == NULL ? -1 : l->fds[i];
            doors[k] = renewal_door(s->renewal, k);
        }
        s->workers[i] =
            worker_new(&(struct worker_conf){.spool = s->spool,
                                             .number = i,
                                             .listen_fds = fds,
                                             .doors = doors,
                                             .lines = access_ring(s->access, i),
                                             .prints = s->prints,
                                             .leaving = &s->leaving,
                                             .n_listeners = s->listeners.n,
                                             .mail = &s->mail,
                                             .freed = on_freed,
                                             .differs = on_differs,
                                             .samples = s->samples,
                                             .arg = s});
        if (s->workers[i] == NULL) {
            return err_set(e, "can't make an event loop for worker %u", i);
        }
    }
    return true;
}

/* Once; start_prepare may have been there. */
static bool make_states(struct server *s, struct err *e)
{
    if (s->states != NULL) {
        return true;
    }
    s->states = mem_zalloc(s->n_workers * sizeof(struct policy_state *));
    return states_make(s->policy, s->states, s->n_workers, e);
}

void start_unprepare(struct server *s)
{
    for (uint32_t i = 0; s->states != NULL && i < s->n_workers; i++) {
        policy_state_free(s->states[i]); /* not taken */
    }
    free(s->states);
    s->states = NULL;
}

static bool start_workers(struct server *s, struct err *e)
{
    bool ok = make_states(s, e);

    if (ok) {
        bindings_make(s, s->live, s->states, s->stream_ids, s->dead_stream);
    }
    for (uint32_t i = 0; ok && i < s->n_workers; i++) {
        ok = worker_start(s->workers[i], s->live->bindings[i], e);
    }
    start_unprepare(s);
    return ok;
}

/* For a start that must not use the policy's file; this one can do without. */
static void keep_policy(const struct server *s)
{
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;

    if (!snapshots_save(s->spool_dir, s->policy, &e)) {
        log_write(LOG_WARN, "policy", "status=not_kept why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
        return;
    }
    snapshots_forget_tables(s->spool_dir, s->tables_dir);
}

static bool open_certificates(struct server *s, struct err *e)
{
    struct certificates c;

    if (s->renewal != NULL) {
        return true;
    }
    s->renewal = renewal_new(s->loop, s->process->tickets);
    if (!certificates_read(&c, s->policy, renewal_tickets(s->renewal), e)) {
        return false;
    }
    renewal_set(s->renewal, s->policy, &c);
    return true;
}

/* Both, unless they were opened before the process gave up its rights. */
static bool open_listeners(struct server *s, struct err *e)
{
    return s->admin_listener.fds != NULL ||
           (listenings_open(&s->listeners, s->n_workers, s->place, e) &&
            listening_open_one(&s->admin_listener, s->place, e));
}

bool start_prepare(struct server *s, struct err *e)
{
    s->n_workers = n_workers_of(policy_plan(s->policy));
    return make_states(s, e) && open_certificates(s, e);
}

bool start_enter(struct server *s, struct err *e)
{
    const struct plan *plan = policy_plan(s->policy);

    listenings_of(&s->listeners, plan, s->conf.listen);
    s->admin_plan = &plan->admin;
    listening_of(&s->admin_listener, &plan->admin.listener, s->conf.admin);
    s->admin_listener.admin = true;
    s->n_workers = n_workers_of(plan);
    if (!s->process->entered && process_changes_user(s->policy) &&
        !open_listeners(s, e)) {
        return false;
    }
    return process_enter(s, e);
}

/* Commands find this server by its spool; one that can't note it serves all the same. */
static void note_admin(const struct server *s)
{
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;

    if (!note_write(s->spool_dir, s->admin_listener.bound,
                    s->admin_plan->listener.tls != NULL, &e)) {
        log_write(LOG_WARN, "admin", "status=not_noted why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
    }
}

static void tell_ready(struct server *s, const struct plan *plan)
{
    char listen[LISTENINGS_TEXT], quoted[3][PATH_MAX];

    listenings_show(&s->listeners, listen, sizeof listen);
    log_write(LOG_INFO, "ready",
              "listen=%s admin=%s workers=%u streams=%u sinks=%u data=%s "
              "epoch=%u pid=%ld version=%s",
              log_word(quoted[0], sizeof quoted[0], listen),
              log_word(quoted[1], sizeof quoted[1], s->admin_listener.bound),
              s->n_workers, plan->n_streams, plan->n_sinks,
              log_word(quoted[2], sizeof quoted[2], s->conf.data_dir),
              spool_epoch(s->spool), (long)getpid(), SLUICE_VERSION);
}

bool start_all(struct server *s, struct err *e)
{
    const struct plan *plan = policy_plan(s->policy);

    generations_init(&s->generations, s->n_workers);
    s->live = generation_new(&s->generations, s->fell_back ? "suspect" : "start");
    generation_policy(s->live, s->policy);
    s->sinks_ahead = true;
    s->prints = print_rings_new(s->n_workers);
    if (!open_spool(s, plan, e) ||
        !streams_open(s, plan, s->stream_ids, &s->dead_stream, e) ||
        !keystores_open(s, s->policy, s->stream_ids, e) ||
        !indexes_open(s, plan, s->stream_ids, false, e)) {
        return false;
    }
    s->quotas = quotas_open(s->registry, s->spool, s->spool_dir, e);
    if (s->quotas == NULL) {
        return false;
    }
    if (!taken_restore(s, plan, e) || !sinks_restore(s, s->policy, false, e) ||
        !sinks_apply(s, s->policy, s->stream_ids, s->dead_stream, e) ||
        !sinks_restore(s, s->policy, true, e) || !open_certificates(s, e) ||
        !open_listeners(s, e) || !make_workers(s, e) || !admin_start(s, e) ||
        !start_workers(s, e)) {
        return false;
    }
    taken_forget_names(s); /* the changer alters the notes too, once it runs */
    if (!changer_start(&s->changer, e)) {
        return false;
    }
    s->sinks_ahead = false;
    watchdog_start(&s->watch, s);
    pulse_start(&s->pulse, s);
    keep_policy(s);
    spool_ready(s->spool);
    streams_used(s);
    streams_tell_left(s);
    generation_set(&s->generations, s->live, GEN_LIVE, NULL);
    activation_note(s, !s->fell_back);
    note_admin(s);
    tell_ready(s, plan);
    drain_rest(s, s->place->resting);
    predecessor_connections(s, s->place);
    predecessor_serving(s, s->place);
    listenings_settle(&s->listeners, &s->admin_listener, s->place);
    unused_tell(plan);
    rights_restore(s); /* of sockets that a process before has opened */
    predecessor_connections(s, s->place);
    return true;
}
