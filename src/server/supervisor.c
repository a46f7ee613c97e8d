#include "server/supervisor.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/access.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "policy/run/run.h"
#include "server/internal.h"
#include "server/keys/keystores.h"
#include "server/policies/quarantine.h"
#include "server/policies/snapshots.h"
#include "server/process.h"
#include "server/renewal.h"
#include "server/settings.h"
#include "server/sinks/taken.h"
#include "server/starting.h"
#include "server/upgrade/channel.h"
#include "server/upgrade/launch.h"
#include "server/upgrade/link.h"
#include "server/upgrade/place.h"
#include "server/upgrade/predecessor.h"
#include "server/upgrade/successor.h"
#include "server/vitals.h"
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
    successor_reloads(s);
    if (!reload_ask(s, &(struct reload_request){.kind = RELOAD_FILE,
                                                .cause = "SIGHUP",
                                                .done = on_hup_done}) &&
        !s->draining && !successor_leaving(s)) {
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

static void on_usr2(struct ev_loop *loop, ev_signal *w, int events)
{
    struct server *s = OUTER(w, struct server, on_usr2);
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;

    (void)loop;
    (void)events;
    if (!successor_begin(s, "SIGUSR2", &e)) {
        log_write(LOG_ERROR, "upgrade", "status=failed why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
    }
}

/* Before the access log is there: it will be opened anyway. */
static void on_usr1(struct ev_loop *loop, ev_signal *w, int events)
{
    struct server *s = OUTER(w, struct server, on_usr1);

    (void)loop;
    (void)events;
    if (s->access != NULL) {
        access_reopen(s->access);
    }
}

static void watch_signals(struct server *s)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    ev_signal_init(&s->on_hup, on_hup, SIGHUP);
    ev_signal_init(&s->on_term, on_term, SIGTERM);
    ev_signal_init(&s->on_int, on_int, SIGINT);
    ev_signal_init(&s->on_usr1, on_usr1, SIGUSR1); /* tools that rotate logs send it */
    ev_signal_init(&s->on_usr2, on_usr2, SIGUSR2);
    ev_signal_start(s->loop, &s->on_hup);
    ev_signal_start(s->loop, &s->on_term);
    ev_signal_start(s->loop, &s->on_int);
    ev_signal_start(s->loop, &s->on_usr1);
    ev_signal_start(s->loop, &s->on_usr2);
}

/* A kept policy lies in the data directory, which the process in the sandbox may write: it
 * must not give the next one more rights than the policy's file does. */
static bool is_looser(const struct policy *kept, const struct policy *file,
                      struct err *e)
{
    const struct server_plan *x = &policy_plan(kept)->server;
    const struct server_plan *y = &policy_plan(file)->server;
    bool same_user =
        y->user == NULL || (x->user != NULL && strcmp(x->user, y->user) == 0);

    if (x->sandbox >= y->sandbox && same_user && (y->core_dumps || !x->core_dumps)) {
        return false;
    }
    (void)err_set(e,
                  "the kept policy %.12s has a looser server.sandbox, server.user or "
                  "server.core_dumps than the policy's file",
                  policy_plan(kept)->hash);
    return true;
}

/* A worker did not come back from this file's policy: the last other policy that went
 * live takes its place. */
static void fall_back(struct server *s, const struct quarantine *x)
{
    char *dir = start_path(s->conf.data_dir, policy_plan(s->policy)->spool.dir);
    char quoted[ERR_TEXT_MAX * 2], route[sizeof x->route * 2], begins[PATH_MAX];
    struct policy *other;
    struct err e;

    (void)log_quote(route, sizeof route, x->route);
    other = snapshots_other(dir, s->tables_dir, x->hash, &e);
    if (other != NULL && is_looser(other, s->policy, &e)) {
        policy_unref(other);
        other = NULL;
    }
    if (other == NULL) {
        log_write(LOG_WARN, "suspect",
                  "hash=%.12s route=%s begins=%s using=itself why=%s", x->hash, route,
                  quarantine_place(x, begins, sizeof begins),
                  log_quote(quoted, sizeof quoted, e.text));
    } else {
        log_write(LOG_WARN, "suspect", "hash=%.12s route=%s begins=%s using=%.12s",
                  x->hash, route, quarantine_place(x, begins, sizeof begins),
                  policy_plan(other)->hash);
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

/* A policy of a rollout was not live, or it is by now. It does not become that by an
 * upgrade: the live one stays, and a reload begins the rollout anew. False: the live one
 * can't be had. */
static bool keep_live(struct server *s)
{
    const struct plan *plan = policy_plan(s->policy);
    char *dir = start_path(s->conf.data_dir, plan->spool.dir);
    char quoted[ERR_TEXT_MAX + 16];
    struct policy *live = NULL;
    bool stays = s->place->channel >= 0 && plan->rollout.kind != ROLLOUT_NONE &&
                 !snapshots_is_live(dir, plan->hash);
    struct err e;

    if (stays) {
        live = snapshots_other(dir, s->tables_dir, plan->hash, &e);
    }
    if (live != NULL && is_looser(live, s->policy, &e)) {
        policy_unref(live);
        live = NULL;
    }
    free(dir);
    if (stays && live == NULL) {
        log_write(
            LOG_ERROR, "start",
            "why=\"the policy's file is of a rollout, and the live policy can't be "
            "had\" error=%s",
            log_quote(quoted, sizeof quoted, e.text));
        return false;
    }
    if (stays) {
        log_write(LOG_WARN, "upgrade", "status=kept_policy hash=%.12s file=%.12s",
                  policy_plan(live)->hash, plan->hash);
        policy_unref(s->policy);
        s->policy = live;
    }
    return true;
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

/* The one that was live, when another process did not come to its place: the file may
 * have become another since, and the reason. */
static bool load_again(struct server *s)
{
    s->policy = s->place->policy;
    s->place->policy = NULL;
    if (s->policy == NULL) {
        return false;
    }
    policy_share(s->policy, s->registry);
    log_follow(policy_plan(s->policy));
    return true;
}

static bool load(struct server *s, struct waiting *w)
{
    struct policy_report report = {0};
    struct quarantine x;
    char *dir;

    if (load_again(s)) {
        return true;
    }

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
    dir = start_path(s->conf.data_dir, policy_plan(s->policy)->spool.dir);
    if (quarantine_read(dir, &x) && strcmp(x.hash, policy_plan(s->policy)->hash) == 0) {
        fall_back(s, &x);
    }
    free(dir);
    if (!keep_live(s)) {
        policy_unref(s->policy);
        s->policy = NULL;
        return false;
    }
    policy_share(s->policy, s->registry);
    log_follow(policy_plan(s->policy));
    return true;
}

/* The facts of a start that is to be tried again. */
static void note_wait(const struct server *s, const struct err *e, struct waiting *w)
{
    const struct plan *plan = policy_plan(s->policy);
    struct err ignored;

    if (w->listeners.n == 0) {
        listenings_of(&w->listeners, plan, s->conf.listen);
        w->admin = s->admin_listener;
        w->policy = policy_ref(s->policy);
        (void)snprintf(w->data_dir, sizeof w->data_dir, "%s", s->conf.data_dir);
    }
    certificates_free(&w->certificates); /* they may have been renewed since */
    if (!certificates_read(&w->certificates, w->policy, NULL, &ignored)) {
        w->certificates = (struct certificates){0}; /* these listeners close */
    }
    (void)snprintf(w->why, sizeof w->why, "%s", e->text);
}

enum { EXIT_AGAIN = -1, EXIT_LEFT = -2 };
_Static_assert((int)EXIT_PANIC == (int)POLICY_PANIC_EXIT, "one code, two layers");

/* Waits for the one before, if there is one: ready for its place. Signals end this process
 * meanwhile: it has nothing yet. */
static bool await_place(struct server *s)
{
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;

    if (s->place->channel < 0) {
        return true;
    }
    if (!start_prepare(s, &e)) {
        predecessor_failed(s->place, e.text);
    } else if (predecessor_await(s->place, s->process->tickets, &e)) {
        return true;
    }
    log_write(LOG_ERROR, "start", "why=%s", log_quote(quoted, sizeof quoted, e.text));
    return false;
}

/* Those that come until another process serves are for that one. */
static void hold_signals(int how)
{
    static const int all[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2};
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < N_ELEMS(all); i++) {
        (void)sigaddset(&set, all[i]);
    }
    (void)pthread_sigmask(how, &set, NULL);
}

/* What comes of a start that failed. */
static int failed(struct server *s, const struct err *e, struct waiting *w)
{
    char quoted[ERR_TEXT_MAX + 16];
    bool again = err_no_room(e) && s->place->channel < 0;

    predecessor_failed(s->place, e->text);
    note_wait(s, e, w);
    if (!again) {
        log_write(LOG_ERROR, "start", "why=%s",
                  log_quote(quoted, sizeof quoted, e->text));
    }
    return again ? EXIT_AGAIN : EXIT_SETUP;
}

/* EXIT_AGAIN: the disk had no room for the start, and w has the facts of the start.
 * EXIT_LEFT: another process is to take the place, which has what it needs. */
static int run_once(const struct supervisor_conf *c, struct process *p,
                    struct place *place, struct waiting *w)
{
    struct server *s = mem_zalloc(sizeof *s);
    struct starting starting;
    struct err e;
    int code = EXIT_OK;
    bool ok;

    (void)signal(SIGUSR1, SIG_IGN); /* until it is watched */
    s->conf = *c;
    s->process = p;
    s->place = place;
    s->dead_stream = -1;
    s->started_ns = clock_mono_ns();
    s->began = place->channel >= 0     ? "upgrade"
               : place->policy != NULL ? "again"
                                       : "start";
    s->loop = ev_default_loop(EVFLAG_AUTO);
    s->registry = registry_new(true);
    s->folders = folders_new();
    s->tables_dir = start_path(s->conf.data_dir, "tables");
    process_look(p, c->data_dir, s->tables_dir);
    if (!load(s, w) || !await_place(s)) {
        code = s->policy != NULL    ? EXIT_SETUP
               : w->listeners.n > 0 ? EXIT_AGAIN
                                    : EXIT_POLICY;
        start_unprepare(s);
        renewal_free(s->renewal);
        policy_unref(s->policy);
        free(s->tables_dir);
        registry_unref(s->registry);
        folders_free(s->folders);
        free(s);
        return code;
    }
    mailbox_init(&s->mail, s->loop);
    changer_init(&s->changer, &s->mail);
    (void)pthread_mutex_init(&s->sinks_lock, NULL);
    reloads_init(s);
    rollout_init(&s->rollout, s);
    start_raise_limits();
    watch_signals(s);
    hold_signals(SIG_UNBLOCK);
    ok = start_enter(s, &e);
    if (ok) {
        starting_begin(&starting, c->data_dir);
        ok = start_all(s, &e);
        starting_end(&starting);
    }
    if (ok) {
        waiting_over(w);
        launch_watch(s);
        link_watch(s);
        process_ready(s);
        log_never_wait();
        (void)ev_run(s->loop, 0);
    } else {
        code = failed(s, &e, w);
    }
    if (s->exit_code == EXIT_STUCK) {
        successor_forsake(s);
        log_end();
        return EXIT_STUCK; /* a thread that never comes back is not waited for */
    }
    if (code == EXIT_AGAIN) {
        waiting_guard(w);
    } else if (ok && successor_leaving(s)) {
        hold_signals(SIG_BLOCK);
        /* The loop may have caught one in its last turn, and not told it. */
        (void)ev_run(s->loop, EVRUN_NOWAIT);
        successor_leave(s);
        code = EXIT_LEFT;
    }
    if (stop_all(s)) {
        if (code == EXIT_LEFT) {
            successor_take(s, place);
        }
        free(s);
        log_end(); /* also of one that another process follows */
        if (code >= 0) {
            log_write(LOG_INFO, "stopped", "exit=%d", code);
        }
    } else { /* a thread still uses all, also things that exit() would take down */
        code = code == EXIT_AGAIN  ? EXIT_SETUP
               : code == EXIT_LEFT ? successor_alone(s)
                                   : code;
        log_end();
        log_write(LOG_WARN, "stopped", "exit=%d stuck=true", code);
        _exit(code);
    }
    return code;
}

/* One that serves, or another process does in its place. */
static int run_until_left(const struct supervisor_conf *c, struct process *p,
                          struct place *place, struct waiting *w)
{
    int code;

    do {
        code = run_once(c, p, place, w);
    } while (code == EXIT_LEFT &&
             successor_follow(place, p, &code) == SUCCESSOR_FAILED);
    return code;
}

int supervisor_run(const struct supervisor_conf *c)
{
    static struct waiting w;   /* one process has one */
    static struct process p;   /* as above */
    static struct place place; /* as above */
    static double start_s;     /* as above */
    enum waiting_end end = WAITING_AGAIN;
    int code;

    place_init(&place);
    place.channel = channel_join();
    launch_prepare(&p); /* before secrets, descriptors and threads */
    log_prepare();
    process_begin(&p);
    vitals_show(&start_s);
    p.notify.silent = place.channel >= 0;
    code = run_until_left(c, &p, &place, &w);
    while (code == EXIT_AGAIN) {
        place_fini(&place); /* the wait binds the ports itself */
        process_waits(&p, w.why);
        end = waiting_for_room(&w);
        if (end != WAITING_AGAIN) {
            code = end == WAITING_TOLD ? EXIT_OK : EXIT_SETUP;
            log_write(LOG_INFO, "stopped", "exit=%d", code);
            break;
        }
        code = run_until_left(c, &p, &place, &w);
    }
    place_fini(&place);
    process_forget(&p);
    launcher_end(&p.launcher);
    return code;
}
