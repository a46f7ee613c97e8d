#include "server/upgrade/stand_in.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"
#include "server/supervisor.h"

static const int passed[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

struct stand_in {
    pid_t now, next; /* the server, and who takes its place; 0: nobody */
    bool ended;      /* now has, with status */
    int status;
    pid_t early; /* the last of the others that have ended */
    int early_status;
};

void stand_in_tell(pid_t stand_in, pid_t pid)
{
    if (getppid() == stand_in) {
        (void)sigqueue(stand_in, SIGRTMIN, (union sigval){.sival_int = (int)pid});
    }
}

static void hear(struct stand_in *x, const siginfo_t *got)
{
    if (got->si_pid == x->now && got->si_value.sival_int > 0) {
        x->next = (pid_t)got->si_value.sival_int;
    }
}

/* The word about the next one may still wait: it was queued before the end. */
static void hear_all(struct stand_in *x)
{
    const struct timespec at_once = {0, 0};
    sigset_t set;
    siginfo_t got;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGRTMIN);
    while (sigtimedwait(&set, &got, &at_once) == SIGRTMIN) {
        hear(x, &got);
    }
}

/* Those whose parents have ended are this process's children now. */
static void reap(struct stand_in *x)
{
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        hear_all(x);
        if (pid == x->now) {
            x->ended = true;
            x->status = status;
        } else {
            x->early = pid;
            x->early_status = status;
        }
        if (x->ended && x->next != 0) {
            x->now = x->next;
            x->next = 0;
            x->ended = x->now == x->early;
            x->status = x->early_status;
        }
    }
}

static int end_as(int status)
{
    sigset_t set;

    if (!WIFSIGNALED(status)) {
        return WEXITSTATUS(status);
    }
    (void)sigemptyset(&set);
    (void)sigaddset(&set, WTERMSIG(status));
    (void)signal(WTERMSIG(status), SIG_DFL);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    (void)raise(WTERMSIG(status));
    return EXIT_SETUP;
}

int stand_in(pid_t pid)
{
    struct stand_in x = {.now = pid};
    sigset_t set;
    siginfo_t got;

    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)sigemptyset(&set);
    for (size_t i = 0; i < N_ELEMS(passed); i++) {
        (void)sigaddset(&set, passed[i]);
    }
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGRTMIN);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGCHLD, SIG_DFL);
    reap(&x);
    while (!x.ended) {
        int number = sigwaitinfo(&set, &got);

        if (number == SIGRTMIN) {
            hear(&x, &got);
        } else if (number > 0 && number != SIGCHLD && got.si_code != SI_KERNEL) {
            /* A terminal has told both. One that has named the next may be gone. */
            hear_all(&x);
            reap(&x);
            (void)kill(x.next != 0 ? x.next : x.now, number);
        }
        reap(&x);
    }
    return end_as(x.status);
}
