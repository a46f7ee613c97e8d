/* The old process, once it has no thread and no spool any more. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "process/notify.h"
#include "process/progress.h"
#include "server/process.h"
#include "server/supervisor.h"
#include "server/upgrade/channel.h"
#include "server/upgrade/launch.h"
#include "server/upgrade/link.h"
#include "server/upgrade/parcel.h"
#include "server/upgrade/stand_in.h"
#include "server/upgrade/successor.h"

/* A spool that was closed opens in milliseconds, but keys that were seen take longer. */
#define SERVES_NS (120ull * 1000000000)
/* One that uses no time of a processor meanwhile hangs, or was stopped. */
#define STANDS_NS 5000000000ull
#define LOOK_NS 20000000ull
#define ENDS_NS 3000000000ull
/* Of the watchdog's time. */
enum { PINGS = 4 };

/* Those that come meanwhile are for the server, whoever that is. */
static void pass_signals(struct process *process, pid_t pid)
{
    static const int all[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2};
    const struct timespec at_once = {0, 0};
    sigset_t set;
    int number;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        (void)sigaddset(&set, all[i]);
    }
    while ((number = sigtimedwait(&set, NULL, &at_once)) > 0) {
        (void)launch_signal(process, pid, number);
    }
}

static bool say(const struct place *p, const struct channel_message *m, struct err *e)
{
    return channel_say(p->channel, m, clock_mono_ns() + SERVES_NS, e);
}

/* Whoever serves is to end. The new process is told at once, and has the time that an end
 * during a start has: it may hang. */
static bool ends(struct place *p, struct process *process)
{
    const struct timespec at_once = {0, 0};
    sigset_t set;
    int number;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    number = sigtimedwait(&set, NULL, &at_once);
    if (number > 0) {
        p->drains = true;
        if (p->pid > 0) {
            (void)launch_signal(process, p->pid, number);
        }
    }
    return number > 0;
}

/* The service manager waits for pings of this process until it is told of the new one,
 * whose start may take longer than its watchdog has patience. */
static void ping(const struct notify *n, uint64_t *last_ns)
{
    uint64_t now_ns = clock_mono_ns();

    if (n->watchdog_us > 0 && now_ns - *last_ns >= n->watchdog_us * 1000u / PINGS) {
        *last_ns = now_ns;
        (void)notify_send(n, "WATCHDOG=1");
    }
}

/* True: it serves. told: to end. */
static bool hear(struct place *p, struct process *process, bool *told, struct err *e)
{
    const struct notify *notify = &process->notify;
    uint64_t pinged_ns = 0;
    uint64_t until_ns = clock_mono_ns() + SERVES_NS;
    enum channel_result got;
    struct channel_message m;
    struct progress progress;
    bool stands = false;

    progress_begin(&progress, p->pid, clock_mono_ns());
    do {
        got = channel_hear(p->channel, &m, clock_mono_ns() + LOOK_NS, e);
        if (got == CHANNEL_NOTHING && ends(p, process)) {
            *told = true;
            until_ns = clock_mono_ns() + ENDS_NS;
        }
        ping(notify, &pinged_ns);
        stands = progress_stands(&progress, clock_mono_ns()) > STANDS_NS;
    } while (got == CHANNEL_NOTHING && !stands && clock_mono_ns() < until_ns);
    if (got == CHANNEL_NOTHING) {
        return err_set(e, *told ? "it was told to end, and does not"
                          : stands
                              ? "it has done nothing for 5 s (stopped, or a disk that "
                                "hangs?)"
                              : "it does not serve after two minutes");
    }
    if (got == CHANNEL_GONE) {
        return false;
    }
    if (m.fd >= 0) {
        (void)close(m.fd);
    }
    return m.kind == CHANNEL_SERVING || err_set(e, "%s", m.text);
}

/* What was read of its next request, and what it has not taken yet; the file, -1: there is
 * nothing. False: it can't be passed on, and the connection without it would be cut. */
static bool pack(const struct http_handed *h, int *fd)
{
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;

    *fd = -1;
    if (h->bytes != NULL) {
        *fd = parcel_pack(h->bytes, h->n_out + h->n_in, &e);
    }
    if (h->bytes != NULL && *fd < 0) {
        log_write(LOG_WARN, "upgrade", "status=lost connections=1 why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
    }
    return h->bytes == NULL || *fd >= 0;
}

static bool give_connection(struct place *p, const struct place_connection *c,
                            struct err *e)
{
    struct channel_message m = {.kind = CHANNEL_CONNECTION, .fd = c->conn.fd};
    struct channel_message bytes = {.kind = CHANNEL_BYTES,
                                    .number = (uint32_t)c->conn.n_out};
    bool ok = true;

    if (!pack(&c->conn, &bytes.fd)) {
        return true; /* the others go */
    }
    if (bytes.fd >= 0) {
        ok = say(p, &bytes, e);
        (void)close(bytes.fd);
    }
    m.number = (c->conn.served ? CHANNEL_SERVED : 0) |
               (c->conn.known ? CHANNEL_KNOWN : 0) | (c->conn.ends ? CHANNEL_ENDS : 0) |
               (c->conn.let_in ? CHANNEL_LET_IN : 0);
    (void)snprintf(m.text, sizeof m.text, "%s", c->listener);
    memcpy(m.peer, c->conn.peer, sizeof m.peer);
    memcpy(m.who, &c->conn.who, sizeof m.who);
    return ok && say(p, &m, e);
}

/* link: to the process that stands in; -1: there is none. */
static void give_connections(struct place *p, pid_t stands_in, int link)
{
    const struct channel_message end = {
        .kind = CHANNEL_END, .number = (uint32_t)stands_in, .fd = link};
    char quoted[ERR_TEXT_MAX + 16];
    uint32_t n = 0;
    struct err e;

    while (n < p->n_connections && give_connection(p, &p->connections[n], &e)) {
        n++;
    }
    if (n < p->n_connections || !say(p, &end, &e)) {
        log_write(LOG_WARN, "upgrade", "status=lost connections=%u why=%s",
                  p->n_connections - n, log_quote(quoted, sizeof quoted, e.text));
    }
}

static void close_pair(const int ends[2])
{
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0) {
            (void)close(ends[i]);
        }
    }
}

/* This one serves again, or ends. */
static enum successor_result take_back(struct place *p, struct process *process,
                                       int *code, const char *why)
{
    char quoted[ERR_TEXT_MAX + 16];

    log_write(LOG_ERROR, "upgrade", "status=failed pid=%ld next=\"%s\" why=%s",
              (long)p->pid, p->drains ? "ends" : "this process serves again",
              log_quote(quoted, sizeof quoted, why));
    process_upgrade_failed(process, why);
    if (p->pid > 0) { /* else it has ended, and was reaped */
        launch_kill(process, p->pid);
    }
    (void)close(p->channel);
    p->channel = -1;
    p->pid = 0;
    *code = EXIT_OK;
    if (p->reloads) {
        (void)kill(getpid(), SIGHUP); /* blocked until this one serves */
    }
    return p->drains ? SUCCESSOR_SERVES : SUCCESSOR_FAILED;
}

/* Both may be in the sandbox: the launcher's work ends here, and the link's begins. */
static int stay(struct process *process, pid_t pid, int link)
{
    launcher_end(&process->launcher);
    return stand_in(pid, link);
}

enum successor_result successor_follow(struct place *p, struct process *process,
                                       int *code)
{
    const struct notify *notify = &process->notify;
    const struct channel_message go = {
        .kind = CHANNEL_GO, .number = p->resting ? CHANNEL_RESTS : 0, .fd = -1};
    bool stays, told = false;
    pid_t pid = p->pid, below = p->below;
    int link[2] = {-1, -1};
    struct err e;

    /* Made now: later it is too late to give up. */
    if (!(below != 0 || link_pair(link, &e)) || !say(p, &go, &e) ||
        !hear(p, process, &told, &e)) {
        close_pair(link);
        return take_back(p, process, code, e.text);
    }
    /* The service manager waits for that one from now on. */
    stays = below == 0 && !notify_send(notify, "MAINPID=%ld", (long)pid);
    if (below != 0) {
        give_connections(p, below, p->link);
        link_next(p->link, pid);
    } else {
        give_connections(p, stays ? getpid() : 0, stays ? link[1] : -1);
    }
    if (p->drains && !told) {
        (void)launch_signal(process, pid, SIGTERM);
    }
    if (p->reloads) {
        (void)launch_signal(process, pid, SIGHUP);
    }
    place_fini(p);
    process_forget(process); /* it may stand in for months */
    pass_signals(process, pid);
    if (link[1] >= 0) {
        (void)close(link[1]);
        link[1] = -1;
    }
    *code = stays ? stay(process, pid, link[0]) : EXIT_OK;
    close_pair(link);
    return SUCCESSOR_SERVES;
}
