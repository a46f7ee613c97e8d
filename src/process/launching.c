/* The launcher's own process. Single-threaded; every signal is blocked, because it ends with
 * the server and not before. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "process/command.h"
#include "process/launcher.h"

/* The end of the pair here, and the descriptor that a new process gets, there. */
enum { GIVEN = 3 };

struct launching {
    int end;
    bool entered;
    int child; /* a pidfd of the last process that it has started; -1: none */
    struct command command;
    struct err no_command; /* why it can't be had; "": it can */
};

/* With the server, also when that is killed and this one is stopped. A change of the user
 * takes this back. Where Landlock holds the server's signals back, it holds this one back
 * too, and the end of the sockets has to do. */
static void end_with(pid_t server)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != server) {
        _exit(0);
    }
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* ---- requests ---- */

static bool enter(struct launching *x, const struct launcher_request *r, struct err *e)
{
    pid_t server = getppid();
    long fd;

    if (r->number > 1 || r->user.n_groups < 0 || r->user.n_groups > USER_GROUPS_MAX) {
        _exit(1);
    }
    fd = syscall(SYS_pidfd_open, getpid(), 0);
    if (fd < 0) {
        return err_errno(e, errno, "the kernel has no pidfd (Linux 5.3 is needed)");
    }
    (void)close((int)fd);
    if (x->no_command.text[0] != '\0') {
        return err_set(e, "%s", x->no_command.text);
    }
    if (!(r->number == 1 ? user_become(&r->user, e) : user_no_new_privileges(e))) {
        return false;
    }
    end_with(server);
    x->entered = true;
    return true;
}

static bool child_lives(const struct launching *x)
{
    struct pollfd p = {.fd = x->child, .events = POLLIN};

    return x->child >= 0 && poll(&p, 1, 0) == 0;
}

/* The new process, until it has become the program. */
static _Noreturn void become_program(const struct launching *x, int fd, int tell)
{
    int errnum = dup2(fd, GIVEN) < 0 ? errno : command_exec(&x->command);

    (void)!write(tell, &errnum, sizeof errnum);
    _exit(127);
}

/* A child of the server, not of this process. */
static pid_t make_process(int *pidfd)
{
    return (pid_t)syscall(SYS_clone, CLONE_PARENT | CLONE_PIDFD | SIGCHLD, NULL, pidfd,
                          NULL, 0L);
}

/* 0: the pipe has closed, because the program runs. */
static int heard_error(int from)
{
    int errnum = 0;
    ssize_t n;

    do {
        n = read(from, &errnum, sizeof errnum);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof errnum ? errnum : 0;
}

static bool start(struct launching *x, int fd, pid_t *pid, struct err *e)
{
    int ends[2], errnum, pidfd = -1;

    if (child_lives(x)) {
        return err_set(e, "another process is on its way already");
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return err_errno(e, errno, "can't make a pipe");
    }
    *pid = make_process(&pidfd);
    if (*pid == 0) {
        become_program(x, fd, ends[1]);
    }
    errnum = *pid < 0 ? errno : 0;
    (void)close(ends[1]);
    if (*pid > 0) {
        errnum = heard_error(ends[0]);
    }
    (void)close(ends[0]);
    if (*pid < 0) {
        return err_errno(e, errnum, "can't make a process");
    }
    if (errnum != 0) {
        (void)close(pidfd);
        return err_errno(e, errnum, "can't start \"%.100s\"", x->command.words[0]);
    }
    if (x->child >= 0) {
        (void)close(x->child);
    }
    x->child = pidfd;
    return true;
}

static bool send_signal(const struct launching *x, uint32_t number, struct err *e)
{
    static const int known[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR2, SIGKILL};
    bool is_known = false;

    for (size_t i = 0; i < N_ELEMS(known); i++) {
        is_known |= number == (uint32_t)known[i];
    }
    if (!is_known) {
        _exit(1);
    }
    if (x->child < 0) {
        return err_set(e, "no process was started");
    }
    return syscall(SYS_pidfd_send_signal, x->child, (int)number, NULL, 0) == 0 ||
           err_errno(e, errno, "can't signal the process");
}

/* ---- */

/* All descriptors that came with a message are closed but the first one; how many. */
static int detach(struct msghdr *h, int *fd)
{
    int n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (size_t at = 0; CMSG_LEN(at + sizeof *fd) <= c->cmsg_len;
             at += sizeof *fd) {
            int one;

            memcpy(&one, CMSG_DATA(c) + at, sizeof one);
            if (n++ == 0) {
                *fd = one;
            } else {
                (void)close(one);
            }
        }
    }
    return n;
}

/* The next request, and the descriptor of it. Ends the process when there is none any more,
 * or when it is none. */
static void await_request(int end, struct launcher_request *r, int *fd)
{
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof *fd)];
    struct iovec v = {r, sizeof *r};
    struct msghdr h;
    ssize_t n;
    int n_fds;

    do {
        h = (struct msghdr){.msg_iov = &v,
                            .msg_iovlen = 1,
                            .msg_control = room,
                            .msg_controllen = sizeof room};
        n = recvmsg(end, &h, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        _exit(0);
    }
    *fd = -1;
    n_fds = detach(&h, fd);
    if (n != (ssize_t)sizeof *r || (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
        r->form != LAUNCHER_FORM || n_fds != (r->kind == LAUNCHER_START ? 1 : 0)) {
        _exit(1);
    }
}

static void answer_request(struct launching *x, const struct launcher_request *r,
                           int fd, struct launcher_answer *a)
{
    struct err e = {""};
    pid_t pid = 0;
    bool ok;

    if ((r->kind == LAUNCHER_ENTER) == x->entered) {
        _exit(1); /* that first, and once */
    }
    switch (r->kind) {
    case LAUNCHER_ENTER:
        ok = enter(x, r, &e);
        break;
    case LAUNCHER_START:
        ok = start(x, fd, &pid, &e);
        break;
    case LAUNCHER_SIGNAL:
        ok = send_signal(x, r->number, &e);
        break;
    default:
        _exit(1);
    }
    *a = (struct launcher_answer){
        .form = LAUNCHER_FORM, .failed = ok ? 0 : 1, .pid = ok ? (int32_t)pid : 0};
    (void)snprintf(a->why, sizeof a->why, "%s", e.text);
}

_Noreturn void launching_serve(int end, pid_t server, const char *note)
{
    struct launching x = {.end = GIVEN, .child = -1};
    struct launcher_request r;
    struct launcher_answer a;
    sigset_t all;
    int fd;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    (void)prctl(PR_SET_NAME, "sluice-launcher");
    end_with(server);
    if (end != GIVEN && (dup3(end, GIVEN, O_CLOEXEC) < 0 || close(end) != 0)) {
        _exit(1);
    }
    closefrom(GIVEN + 1);
    if (command_own(&x.command, note, &x.no_command)) {
        x.no_command.text[0] = '\0';
    }
    for (;;) {
        await_request(x.end, &r, &fd);
        answer_request(&x, &r, fd, &a);
        if (fd >= 0) {
            (void)close(fd);
        }
        if (send(x.end, &a, sizeof a, MSG_NOSIGNAL) != (ssize_t)sizeof a) {
            _exit(0);
        }
    }
}
