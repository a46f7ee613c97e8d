#include "server/upgrade/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"

#define NOTE "SLUICE_TAKES_OVER"

enum { FORM = 0x51c0e003, FDS_BUSY_NS = 1000000 };

/* The same bytes in every version that has this form. */
struct wire {
    uint32_t form, kind, number, has_fd;
    char text[CHANNEL_TEXT];
    char peer[CHANNEL_PEER];
    unsigned char who[CHANNEL_WHO];
};
_Static_assert(sizeof(struct wire) == 336, "a message's form is fixed");

bool channel_pair(int ends[2], struct err *e)
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                      ends) == 0 ||
           err_errno(e, errno, "can't make a pair of sockets");
}

void channel_note(char out[64], int fd)
{
    (void)snprintf(out, 64, NOTE "=%d", fd);
}

int channel_join(void)
{
    const char *note = getenv(NOTE);
    int kind = 0, fd = -1;
    socklen_t n = sizeof kind;
    char *end;

    if (note == NULL) {
        return -1;
    }
    fd = (int)strtol(note, &end, 10);
    if (end == note || *end != '\0' || fd < 3 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &n) != 0 || kind != SOCK_SEQPACKET) {
        fd = -1; /* somebody else's words */
    }
    (void)unsetenv(NOTE);
    if (fd >= 0) {
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return fd;
}

/* False: not by the deadline. */
static bool await(int fd, short events, uint64_t deadline_ns)
{
    struct pollfd p = {.fd = fd, .events = events};

    for (;;) {
        uint64_t now = clock_mono_ns();
        uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
        const struct timespec t = {(time_t)(left / 1000000000u),
                                   (long)(left % 1000000000u)};
        int n = ppoll(&p, 1, &t, NULL);

        if (n > 0) {
            return true;
        }
        if (left == 0 || (n < 0 && errno != EINTR)) {
            return false;
        }
    }
}

static void attach(struct msghdr *h, char *room, size_t n, int fd)
{
    struct cmsghdr *c;

    memset(room, 0, n);
    h->msg_control = room;
    h->msg_controllen = n;
    c = CMSG_FIRSTHDR(h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

/* Too many descriptors are on their way: the other end is about to take some. */
static void pause_a_little(void)
{
    const struct timespec t = {.tv_nsec = FDS_BUSY_NS};

    (void)nanosleep(&t, NULL);
}

bool channel_say(int end, const struct channel_message *m, uint64_t deadline_ns,
                 struct err *e)
{
    struct wire w = {FORM, (uint32_t)m->kind, m->number, m->fd >= 0, "", "", ""};
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))];
    struct iovec v = {&w, sizeof w};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
    bool ok = true;

    memcpy(w.text, m->text, sizeof w.text);
    memcpy(w.peer, m->peer, sizeof w.peer);
    memcpy(w.who, m->who, sizeof w.who);
    if (m->fd >= 0) {
        attach(&h, room, sizeof room, m->fd);
    }
    while (sendmsg(end, &h, MSG_NOSIGNAL) < 0) {
        if (errno == ETOOMANYREFS && clock_mono_ns() < deadline_ns) {
            pause_a_little();
        } else if (errno == EAGAIN ? !await(end, POLLOUT, deadline_ns)
                                   : errno != EINTR) {
            ok = err_errno(e, errno, "the other process does not listen");
            break;
        }
    }
    explicit_bzero(&w, sizeof w); /* keys, or what a client has sent */
    return ok;
}

/* All descriptors of a message but the first are closed: no message has more. */
static int detach(struct msghdr *h)
{
    int fd = -1;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (size_t at = 0; CMSG_LEN(at + sizeof fd) <= c->cmsg_len; at += sizeof fd) {
            int one;

            memcpy(&one, CMSG_DATA(c) + at, sizeof one);
            if (fd < 0) {
                fd = one;
            } else {
                (void)close(one);
            }
        }
    }
    return fd;
}

static enum channel_result read_message(const struct wire *w, ssize_t n, int fd,
                                        struct channel_message *m, struct err *e)
{
    if (n != (ssize_t)sizeof *w || w->form != FORM || (w->has_fd != 0) != (fd >= 0)) {
        if (fd >= 0) {
            (void)close(fd);
        }
        (void)err_set(e, n == (ssize_t)sizeof *w && w->form == FORM
                             ? "a descriptor of the other process was lost (are there "
                               "too many open files?)"
                             : "the other process is of a version that can't hand over "
                               "to this one, or take over from it: restart instead");
        return CHANNEL_GONE;
    }
    m->kind = (enum channel_kind)w->kind;
    m->number = w->number;
    m->fd = fd;
    memcpy(m->text, w->text, sizeof m->text);
    memcpy(m->peer, w->peer, sizeof m->peer);
    memcpy(m->who, w->who, sizeof m->who);
    m->text[sizeof m->text - 1] = '\0';
    m->peer[sizeof m->peer - 1] = '\0';
    return CHANNEL_HEARD;
}

enum channel_result channel_hear(int end, struct channel_message *m,
                                 uint64_t deadline_ns, struct err *e)
{
    struct wire w;
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(4 * sizeof(int))];
    struct iovec v = {&w, sizeof w};
    struct msghdr h;
    ssize_t n;

    for (;;) {
        h = (struct msghdr){.msg_iov = &v,
                            .msg_iovlen = 1,
                            .msg_control = room,
                            .msg_controllen = sizeof room};
        n = recvmsg(end, &h, MSG_CMSG_CLOEXEC);
        if (n > 0) {
            enum channel_result got = read_message(&w, n, detach(&h), m, e);

            explicit_bzero(&w, sizeof w);
            return got;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            (void)err_set(e, "the other process has ended");
            return CHANNEL_GONE;
        }
        if (errno == EAGAIN && !await(end, POLLIN, deadline_ns)) {
            return CHANNEL_NOTHING;
        }
    }
}

bool channel_is_closed(int channel)
{
    struct pollfd p = {.fd = channel};

    return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) != 0;
}
