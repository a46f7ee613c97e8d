#include "server/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cpus.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "policy/run/run.h"
#include "server/certificates.h"
#include "server/internal.h"
#include "server/keys/keystores.h"
#include "server/policies/quarantine.h"
#include "server/policies/snapshots.h"
#include "server/process.h"
#include "server/renewal.h"
#include "server/settings.h"
#include "server/sinks/taken.h"
#include "server/starting.h"
#include "server/waiting.h"
#include "shared/registry.h"
#include "sink/folders.h"
#include "stats/stats.h"

static void on_hup_done(void *arg, const struct reload_answer *a)
{
    (void)arg;
    if (a->text[0] != '\0') {
        log_text(a->result == RELOAD_OK ? LOG_WARN : LOG_ERROR, "policy", a->text);
    }
}

static void on_hup(struct ev_loop *loop, ev_signal *w, int events)
{
    struct server *s = OUTER(w, struct server, on_hup);

    (void)loop;
    (void)events;
    if (!reload_ask(s, &(struct reload_request){.kind = RELOAD_FILE,
                                                .cause = "SIGHUP",
                                                .done = on_hup_done}) &&
        !s->draining) {
        log_write(LOG_WARN, "policy", "status=busy cause=SIGHUP");
    }
}

static void on_term(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)loop;
    (void)events;
    drain_begin(OUTER(w, struct server, on_term), "SIGTERM");
}

static void on_int(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)loop;
    (void)events;
    drain_begin(OUTER(w, struct server, on_int), "SIGINT");
}

static char *join(const char *dir, const char *name)
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
static void raise_limits(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
    }
}

static bool open_spool(struct server *s, const struct plan *plan, struct err *e)
{
    if (mkdir(s->conf.data_dir, 0755) != 0 && errno != EEXIST) {
        return err_errno(e, errno, "can't make the data directory %s",
                         s->conf.data_dir);
    }
    s->spool_dir = join(s->conf.data_dir, plan->spool.dir);
    s->spool =
        spool_open(&(struct spool_conf){.dir = s->spool_dir,
                                        .segment_bytes = plan->spool.segment_bytes,
                                        .n_workers = s->n_workers},
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

static bool make_workers(struct server *s, struct err *e)
{
    struct tls_door *doors[PLAN_LISTENERS_MAX];
    int fds[PLAN_LISTENERS_MAX];

    s->workers = mem_zalloc(s->n_workers * sizeof *s->workers);
    for (uint32_t i = 0; i < s->n_workers; i++) {
        for (uint32_t k = 0; k < s->listeners.n; k++) {
            const struct listening *l = &s->listeners.list[k];

            fds[k] = l->fds == NULL ? -1 : l->fds[i];
            doors[k] = renewal_door(s->renewal, k);
        }
        s->workers[i] = worker_new(&(struct worker_conf){.spool = s->spool,
                                                         .number = i,
                                                         .listen_fds = fds,
                                                         .doors = doors,
                                                         .n_listeners = s->listeners.n,
                                                         .mail = &s->mail,
                                                         .freed = on_freed,
                                                         .differs = on_differs,
                                                         .arg = s});
        if (s->workers[i] == NULL) {
            return err_set(e, "can't make an event loop for worker %u", i);
        }
    }
    return true;
}

static bool start_workers(struct server *s, struct err *e)
{
    struct policy_state **states =
        mem_zalloc(s->n_workers * sizeof(struct policy_state *));
    bool ok = states_make(s->policy, states, s->n_workers, e);

    if (ok) {
        bindings_make(s, s->live, states, s->stream_ids, s->dead_stream);
    }
    for (uint32_t i = 0; i < s->n_workers; i++) {
        policy_state_free(states[i]); /* not taken */
        if (ok) {
            ok = worker_start(s->workers[i], s->live->bindings[i], e);
        }
    }
    free(states);
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

    s->renewal = renewal_new(s->loop);
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
           (listenings_open(&s->listeners, s->n_workers, e) &&
            listening_open_one(&s->admin_listener, e));
}

/* What needs root's rights comes before they are given up; what makes files, after. */
static bool enter(struct server *s, struct err *e)
{
    const struct plan *plan = policy_plan(s->policy);

    listenings_of(&s->listeners, plan, s->conf.listen);
    listening_of(&s->admin_listener,
                 &(struct listener_plan){.address = plan->admin_listen}, s->conf.admin);
    s->n_workers = n_workers_of(plan);
    if (!s->process->entered && process_changes_user(s->policy) &&
        !open_listeners(s, e)) {
        return false;
    }
    return process_enter(s, e);
}

static bool start(struct server *s, struct err *e)
{
    const struct plan *plan = policy_plan(s->policy);
    char listen[LISTENINGS_TEXT];

    generations_init(&s->generations, s->n_workers);
    s->live = generation_new(&s->generations, s->fell_back ? "suspect" : "start");
    generation_policy(s->live, s->policy);
    s->sinks_ahead = true;
    if (!open_spool(s, plan, e) ||
        !streams_open(s, plan, s->stream_ids, &s->dead_stream, e) ||
        !keystores_open(s, s->policy, s->stream_ids, e)) {
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
    listenings_show(&s->listeners, listen, sizeof listen);
    log_write(LOG_INFO, "ready",
              "listen=%s admin=%s workers=%u streams=%u sinks=%u data=%s "
              "epoch=%u pid=%ld version=%s",
              listen, s->admin_listener.bound, s->n_workers, plan->n_streams,
              plan->n_sinks, s->conf.data_dir, spool_epoch(s->spool), (long)getpid(),
              SLUICE_VERSION);
    return true;
}

static void watch_signals(struct server *s)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)signal(SIGUSR1, SIG_IGN); /* tools that rotate logs send it */
    ev_signal_init(&s->on_hup, on_hup, SIGHUP);
    ev_signal_init(&s->on_term, on_term, SIGTERM);
    ev_signal_init(&s->on_int, on_int, SIGINT);
    ev_signal_start(s->loop, &s->on_hup);
    ev_signal_start(s->loop, &s->on_term);
    ev_signal_start(s->loop, &s->on_int);
}

/* A worker did not come back from this file's policy: the last other policy that went
 * live takes its place. */
static void fall_back(struct server *s, const struct quarantine *x)
{
    char *dir = join(s->conf.data_dir, policy_plan(s->policy)->spool.dir);
    char quoted[ERR_TEXT_MAX * 2];
    struct policy *other;
    struct err e;

    other = snapshots_other(dir, s->tables_dir, x->hash, &e);
    if (other == NULL) {
        log_write(LOG_WARN, "suspect",
                  "hash=%.12s route=\"%s\" begins=%s:%d using=itself why=%s", x->hash,
                  x->route, x->file, x->line, log_quote(quoted, sizeof quoted, e.text));
    } else {
        log_write(LOG_WARN, "suspect",
                  "hash=%.12s route=\"%s\" begins=%s:%d using=%.12s", x->hash, x->route,
                  x->file, x->line, policy_plan(other)->hash);
        policy_unref(s->policy);
        s->policy = other;
        s->fell_back = true;
    }
    free(dir);
}

void log_follow(const struct plan *plan)
{
    log_set_level((enum log_level)plan->log_level);
    log_set_json(plan->log_json);
}

/* A start that waits goes on with the file's text of that time. It may be half written
 * now, or wrong: that is told once, and waited for too. */
static bool load_waits(const struct policy_report *report, struct waiting *w)
{
    if (w->listeners.n == 0) {
        return false;
    }
    (void)snprintf(w->why, sizeof w->why, "%s",
                   report->text == NULL ? "" : report->text);
    return true;
}

static bool load(struct server *s, struct waiting *w)
{
    struct policy_report report = {0};
    struct quarantine x;
    char *dir;

    s->policy = policy_load_in(s->conf.policy_path, s->tables_dir, &report);
    if (s->policy != NULL && !settings_try(s->policy, &report)) {
        policy_unref(s->policy);
        s->policy = NULL;
    }
    if (!(s->policy == NULL && load_waits(&report, w)) && report.text != NULL) {
        (void)fputs(report.text, stderr);
    }
    policy_report_fini(&report);
    if (s->policy == NULL) {
        return false;
    }
    dir = join(s->conf.data_dir, policy_plan(s->policy)->spool.dir);
    if (quarantine_read(dir, &x) && strcmp(x.hash, policy_plan(s->policy)->hash) == 0) {
        fall_back(s, &x);
    }
    free(dir);
    policy_share(s->policy, s->registry);
    log_follow(policy_plan(s->policy));
    return true;
}

/* The facts of a start that is to be tried again. */
static void note_wait(const struct server *s, const struct err *e, struct waiting *w)
{
    const struct plan *plan = policy_plan(s->policy);

    if (w->listeners.n == 0) {
        listenings_of(&w->listeners, plan, s->conf.listen);
        w->admin = s->admin_listener;
        (void)snprintf(w->data_dir, sizeof w->data_dir, "%s", s->conf.data_dir);
    }
    (void)snprintf(w->why, sizeof w->why, "%s", e->text);
}

enum { EXIT_AGAIN = -1 };
_Static_assert((int)EXIT_PANIC == (int)POLICY_PANIC_EXIT, "one code, two layers");

/* EXIT_AGAIN: the disk had no room for the start, and w has the facts of the start. */
static int run_once(const struct supervisor_conf *c, struct process *p,
                    struct waiting *w)
{
    struct server *s = mem_zalloc(sizeof *s);
    char quoted[ERR_TEXT_MAX + 16];
    struct starting starting;
    struct err e;
    int code = EXIT_OK;
    bool ok;

    s->conf = *c;
    s->process = p;
    s->dead_stream = -1;
    s->started_ms = clock_wall_ms();
    s->loop = ev_default_loop(EVFLAG_AUTO);
    s->registry = registry_new(true);
    s->folders = folders_new();
    s->tables_dir = join(s->conf.data_dir, "tables");
    process_look(p, c->data_dir, s->tables_dir);
    if (!load(s, w)) {
        free(s->tables_dir);
        registry_unref(s->registry);
        folders_free(s->folders);
        free(s);
        return w->listeners.n > 0 ? EXIT_AGAIN : EXIT_POLICY;
    }
    mailbox_init(&s->mail, s->loop);
    changer_init(&s->changer, &s->mail);
    (void)pthread_mutex_init(&s->sinks_lock, NULL);
    reloads_init(s);
    rollout_init(&s->rollout, s);
    raise_limits();
    watch_signals(s);
    ok = enter(s, &e);
    if (ok) {
        starting_begin(&starting, c->data_dir);
        ok = start(s, &e);
        starting_end(&starting);
    }
    if (ok) {
        process_ready(s);
        (void)ev_run(s->loop, 0);
    } else {
        code = err_no_room(&e) ? EXIT_AGAIN : EXIT_SETUP;
        note_wait(s, &e, w);
        if (code == EXIT_SETUP) {
            log_write(LOG_ERROR, "start", "why=%s",
                      log_quote(quoted, sizeof quoted, e.text));
        }
    }
    if (s->exit_code == EXIT_STUCK) {
        return EXIT_STUCK; /* a thread that never comes back is not waited for */
    }
    if (code == EXIT_AGAIN) {
        waiting_guard(w);
    }
    if (stop_all(s)) {
        free(s);
        if (code != EXIT_AGAIN) {
            log_write(LOG_INFO, "stopped", "exit=%d", code);
        }
    } else { /* a thread still uses all, also things that exit() would take down */
        code = code == EXIT_AGAIN ? EXIT_SETUP : code;
        log_write(LOG_WARN, "stopped", "exit=%d stuck=true", code);
        _exit(code);
    }
    return code;
}

int supervisor_run(const struct supervisor_conf *c)
{
    static struct waiting w; /* one process has one */
    static struct process p; /* as above */
    enum waiting_end end = WAITING_AGAIN;
    int code;

    process_begin(&p);
    code = run_once(c, &p, &w);
    while (code == EXIT_AGAIN) {
        process_waits(&p, w.why);
        end = waiting_for_room(&w);
        if (end != WAITING_AGAIN) {
            break;
        }
        code = run_once(c, &p, &w);
    }
    if (code == EXIT_AGAIN) {
        code = end == WAITING_TOLD ? EXIT_OK : EXIT_SETUP;
        log_write(LOG_INFO, "stopped", "exit=%d", code);
    }
    return code;
}
