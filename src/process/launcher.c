#include "process/launcher.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"

enum { END_LOOKS = 500, LOOK_NS = 1000000 };

void launcher_begin(struct launcher *l, const char *note)
{
    int ends[2];
    pid_t me = getpid();

    *l = (struct launcher){.fd = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        (void)snprintf(l->why, sizeof l->why, "no pair of sockets can be made: %s",
                       strerror(errno));
        return;
    }
    l->pid = fork();
    if (l->pid == 0) {
        (void)close(ends[0]); /* may be standard input, if that was closed */
        launching_serve(ends[1], me, note);
    }
    (void)close(ends[1]);
    if (l->pid < 0) {
        (void)snprintf(l->why, sizeof l->why, "its process can't be made: %s",
                       strerror(errno));
        (void)close(ends[0]);
        l->pid = 0;
        return;
    }
    l->fd = ends[0];
}

/* It ends by this, if it has not; a loop that watches fd hears of it. */
static void lose(struct launcher *l, const char *why)
{
    (void)shutdown(l->fd, SHUT_RDWR);
    l->lost = true;
    (void)snprintf(l->why, sizeof l->why, "%s", why);
}

static bool send_request(const struct launcher *l, const struct launcher_request *r,
                         int fd)
{
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec v = {(void *)(uintptr_t)r, sizeof *r};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
    ssize_t n;

    if (fd >= 0) {
        struct cmsghdr *c;

        h.msg_control = room;
        h.msg_controllen = sizeof room;
        c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    do {
        n = sendmsg(l->fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof *r;
}

static bool receive(const struct launcher *l, struct launcher_answer *a)
{
    ssize_t n;

    do {
        n = recv(l->fd, a, sizeof *a, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    a->why[sizeof a->why - 1] = '\0';
    return n == (ssize_t)sizeof *a && a->form == LAUNCHER_FORM;
}

/* False: it has ended, or does not answer in time. */
static bool hear_answer(const struct launcher *l, uint32_t ms,
                        struct launcher_answer *a, bool *late)
{
    uint64_t until_ns = clock_mono_ns() + ms * 1000000ull;
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    uint64_t now;
    int got = 0;

    while (got <= 0 && (now = clock_mono_ns()) < until_ns) {
        got = poll(&p, 1, (int)((until_ns - now) / 1000000u) + 1);
    }
    *late = got <= 0;
    if (*late) {
        return false;
    }
    return receive(l, a);
}

static bool say_lost(const struct launcher *l, struct err *e)
{
    return err_set(e,
                   "the launcher, the process that starts others for one in the "
                   "sandbox: %s",
                   l->why);
}

static bool ask(struct launcher *l, const struct launcher_request *r, uint32_t ms,
                struct launcher_answer *a, struct err *e)
{
    bool late = false;

    if (l->fd >= 0 && !l->lost &&
        (!send_request(l, r, -1) || !hear_answer(l, ms, a, &late))) {
        char why[64];

        (void)snprintf(why, sizeof why, "it has not answered for %u s (stopped?)",
                       ms / 1000);
        lose(l, late ? why : "it has ended (killed?)");
    }
    if (l->fd < 0 || l->lost) {
        return say_lost(l, e);
    }
    return a->failed == 0 || err_set(e, "%s", a->why);
}

bool launcher_enter(struct launcher *l, const struct user *id, struct err *e)
{
    struct launcher_request r = {.form = LAUNCHER_FORM, .kind = LAUNCHER_ENTER};
    struct launcher_answer a;

    if (id != NULL) {
        r.number = 1;
        r.user = *id;
    }
    l->entered = ask(l, &r, LAUNCHER_MS, &a, e);
    return l->entered;
}

bool launcher_ask(struct launcher *l, int fd, struct err *e)
{
    const struct launcher_request r = {.form = LAUNCHER_FORM, .kind = LAUNCHER_START};

    if (l->fd >= 0 && !l->lost && !send_request(l, &r, fd)) {
        lose(l, "it has ended (killed?)");
    }
    l->asked = l->fd >= 0 && !l->lost;
    return l->asked || say_lost(l, e);
}

enum launcher_heard launcher_hear(struct launcher *l, pid_t *pid, struct err *e)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    struct launcher_answer a;

    if (!l->asked || poll(&p, 1, 0) <= 0) {
        return LAUNCHER_NOTHING;
    }
    l->asked = false;
    if (!receive(l, &a)) {
        lose(l, "it has ended (killed?)");
        (void)say_lost(l, e);
        return LAUNCHER_FAILED;
    }
    *pid = a.pid;
    return a.failed == 0 ? LAUNCHER_STARTED
                         : (err_set(e, "%s", a.why), LAUNCHER_FAILED);
}

void launcher_late(struct launcher *l, struct err *e)
{
    l->asked = false;
    lose(l, "it has not answered for 10 s (stopped?)");
    (void)say_lost(l, e);
}

bool launcher_signal(struct launcher *l, int number)
{
    const struct launcher_request r = {
        .form = LAUNCHER_FORM, .kind = LAUNCHER_SIGNAL, .number = (uint32_t)number};
    struct launcher_answer a;

    return ask(l, &r, LAUNCHER_SIGNAL_MS, &a, NULL);
}

/* It says nothing but answers, and each was heard. */
bool launcher_ended(struct launcher *l)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};

    if (l->fd >= 0 && !l->lost && poll(&p, 1, 0) > 0) {
        lose(l, "it has ended (killed?)");
    }
    return l->lost;
}

void launcher_end(struct launcher *l)
{
    const struct timespec pause = {0, LOOK_NS};
    bool ended = l->pid <= 0;

    if (l->fd >= 0) {
        (void)close(l->fd);
        l->fd = -1;
    }
    for (int i = 0; !ended && i < END_LOOKS; i++) {
        pid_t got = waitpid(l->pid, NULL, WNOHANG);

        ended = got == l->pid || (got < 0 && errno != EINTR);
        if (!ended) {
            (void)nanosleep(&pause, NULL);
        }
    }
    l->pid = 0;
    l->entered = false;
}
