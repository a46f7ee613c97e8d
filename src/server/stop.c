/*
 * stop - after the loop: threads are joined, then their memory is freed. Each has a
 * deadline; one that hangs is told, and everything is left to the end of the process.
 */
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "index/print_ring.h"
#include "server/admin/growth.h"
#include "server/admin/refusing.h"
#include "server/admin/tap.h"
#include "server/index/indexes.h"
#include "server/internal.h"
#include "server/keys/keystores.h"
#include "server/lines.h"
#include "server/page/data.h"
#include "server/page/history.h"
#include "server/quotas.h"
#include "server/renewal.h"
#include "server/upgrade/launch.h"
#include "server/upgrade/link.h"
#include "shared/registry.h"
#include "shared/samples.h"
#include "sink/folders.h"

/* The wait for a load, or a change of the sinks, at the end, beside the drain. */
#define LOADER_NS 500000000ull
/* The wait for workers and sinks after the drain. */
#define STOP_GRACE_NS 2000000000ull

/* Workers and sinks, by one deadline: the rest of the drain's time, and a grace. False:
 * one hangs, and may still use anything. */
static bool stop_threads(struct server *s)
{
    uint64_t now = clock_mono_ns();
    uint64_t until_ns = s->drain_until_ns > now ? s->drain_until_ns : now;
    bool all = true, alone;

    for (uint32_t i = 0; s->workers != NULL && i < s->n_workers; i++) {
        if (!worker_free(s->workers[i], until_ns + STOP_GRACE_NS)) {
            log_write(LOG_ERROR, "stuck", "worker=%u why=\"its thread does not end\"",
                      i);
            all = false;
        }
    }
    alone = changer_stop(&s->changer, until_ns + LOADER_NS);
    if (!alone) {
        char sink[96];

        (void)changer_late(&s->changer, 0, sink, sizeof sink);
        log_write(LOG_ERROR, "stuck",
                  "thread=changer sink=%s why=\"its thread does not "
                  "end\"",
                  sink);
    }
    return sinks_stop(s, until_ns, alone) && all && alone;
}

/* Without a watcher the signal would end the process. */
static void unwatch_usr1(struct server *s)
{
    sigset_t one, before;

    (void)sigemptyset(&one);
    (void)sigaddset(&one, SIGUSR1);
    (void)pthread_sigmask(SIG_BLOCK, &one, &before);
    ev_signal_stop(s->loop, &s->on_usr1);
    (void)signal(SIGUSR1, SIG_IGN);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void unwatch(struct server *s)
{
    ev_signal_stop(s->loop, &s->on_hup);
    ev_signal_stop(s->loop, &s->on_term);
    ev_signal_stop(s->loop, &s->on_int);
    ev_signal_stop(s->loop, &s->on_usr2);
    launch_unwatch(s);
    link_unwatch(s);
    unwatch_usr1(s);
    ev_timer_stop(s->loop, &s->paused_timer);
    ev_timer_stop(s->loop, &s->look_timer);
}

bool stop_all(struct server *s)
{
    bool joined;

    s->ended = true;
    watchdog_stop(&s->watch);
    pulse_stop(&s->pulse);
    joined = reloads_join(s, clock_mono_ns() + LOADER_NS);
    if (!stop_threads(s)) {
        (void)!lines_end(s, clock_mono_ns() + STOP_GRACE_NS);
        return false;
    }
    free(s->workers);
    if (!lines_close(s, clock_mono_ns() + STOP_GRACE_NS)) {
        return false;
    }
    if (joined) {
        mailbox_fini(&s->mail); /* frees the bindings that the workers handed back */
    }
    taps_stop(s->taps);
    if (s->admin != NULL) {
        http_server_free(s->admin);
    }
    taps_free(s->taps);
    page_data_free(s->page_data);
    history_free(s->history);
    refusing_free(s->refusing);
    growth_free(s->growth);
    samples_free(s->samples);
    listening_close(&s->admin_listener);
    listenings_close(&s->listeners);
    renewal_free(s->renewal);
    if (s->spool != NULL) {
        if (!keystores_close(s, clock_mono_ns() + STOP_GRACE_NS) ||
            !indexes_close(s, clock_mono_ns() + STOP_GRACE_NS)) {
            return false;
        }
        if (!quotas_close(s->quotas, clock_mono_ns() + STOP_GRACE_NS)) {
            log_write(LOG_ERROR, "stuck",
                      "thread=quotas why=\"its thread does not end\"");
            return false;
        }
        if (!spool_stop(s->spool, clock_mono_ns() + STOP_GRACE_NS)) {
            log_write(LOG_ERROR, "stuck",
                      "thread=housekeeping why=\"its thread does "
                      "not end\"");
            return false;
        }
        spool_close(s->spool);
    }
    print_rings_free(s->prints);
    if (!joined) {
        return false; /* its thread ends with the process */
    }
    free(s->spool_dir);
    free(s->tables_dir);
    start_unprepare(s);
    rollout_fini(&s->rollout);
    generations_fini(&s->generations);
    policy_unref(s->previous);
    policy_unref(s->policy);
    quotas_free(s->quotas);
    registry_unref(s->registry);
    folders_free(s->folders);
    unwatch(s);
    return true;
}
