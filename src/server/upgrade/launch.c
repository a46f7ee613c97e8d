#include "server/upgrade/launch.h"

#include <ev.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/log.h"
#include "process/command.h"
#include "process/launcher.h"
#include "server/internal.h"
#include "server/process.h"
#include "server/upgrade/channel.h"
#include "server/upgrade/successor.h"

enum { GIVEN = 3 }; /* see launcher_begin */

void launch_prepare(struct process *p)
{
    char note[64];

    channel_note(note, GIVEN);
    launcher_begin(&p->launcher, note);
}

static void tell_lost(const struct process *p)
{
    char quoted[ERR_TEXT_MAX];

    log_write(LOG_WARN, "launcher", "status=lost next=\"%s\" why=%s",
              "sluice serves on, but upgrades fail until it is restarted",
              log_quote(quoted, sizeof quoted, p->launcher.why));
}

/* The process runs, or does not. */
static void hear(struct server *s)
{
    struct launcher *l = &s->process->launcher;
    struct err e;
    pid_t pid = 0;

    switch (launcher_hear(l, &pid, &e)) {
    case LAUNCHER_NOTHING:
        return;
    case LAUNCHER_STARTED:
        successor_launched(s, pid, "");
        return;
    case LAUNCHER_FAILED:
        break;
    }
    if (l->lost) {
        launch_unwatch(s);
        tell_lost(s->process);
    }
    successor_launched(s, 0, e.text);
}

static void on_launcher(struct ev_loop *loop, ev_io *io, int events)
{
    struct server *s = OUTER(io, struct server, on_launcher);

    (void)events;
    if (s->process->launcher.asked) {
        hear(s);
    } else if (launcher_ended(&s->process->launcher)) {
        ev_io_stop(loop, io);
        tell_lost(s->process);
        successor_unled(s);
    }
}

void launch_late(struct server *s, struct err *e)
{
    launch_unwatch(s);
    launcher_late(&s->process->launcher, e);
    tell_lost(s->process);
}

void launch_watch(struct server *s)
{
    const struct launcher *l = &s->process->launcher;

    if (l->fd >= 0 && !l->lost) {
        ev_io_init(&s->on_launcher, on_launcher, l->fd, EV_READ);
        ev_io_start(s->loop, &s->on_launcher);
    } else if (l->lost) {
        tell_lost(s->process);
    }
}

void launch_unwatch(struct server *s)
{
    if (s->on_launcher.active) {
        ev_io_stop(s->loop, &s->on_launcher);
    }
}

static bool launch_directly(int fd, pid_t *pid, struct err *e)
{
    struct command c;
    char note[64];
    int rc;

    channel_note(note, fd);
    if (!command_own(&c, note, e)) {
        return false;
    }
    rc = command_spawn(&c, fd, pid);
    if (rc != 0) {
        (void)err_errno(e, rc, "can't start \"%.100s\"", c.words[0]);
    }
    command_free(&c);
    return rc == 0;
}

bool launch(struct process *p, int fd, pid_t *pid, struct err *e)
{
    if (!p->launcher.entered) {
        return launch_directly(fd, pid, e);
    }
    *pid = 0;
    return launcher_ask(&p->launcher, fd, e);
}

bool launch_signal(struct process *p, pid_t pid, int number)
{
    return p->launcher.entered ? launcher_signal(&p->launcher, number)
                               : kill(pid, number) == 0;
}

void launch_kill(struct process *p, pid_t pid)
{
    if (launch_signal(p, pid, SIGKILL)) {
        (void)waitpid(pid, NULL, 0);
    }
}
