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
#include "server/upgrade/link.h"

static const int passed[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

struct stand_in {
    int link;
    pid_t now, next; /* the server, and who takes its place; 0: nobody */
    bool ended;      /* now has, with status */
    int status;
    bool next_ended; /* before now has */
    int next_status;
};

bool stand_in_passes(int number)
{
    bool is = false;

    for (size_t i = 0; i < N_ELEMS(passed); i++) {
        is |= number == passed[i];
    }
    return is;
}

/* Those whose parents have ended are this process's children now. */
static void reap(struct stand_in *x)
{
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        /* It was told before the end of the one that told it. */
        (void)link_hear_next(x->link, &x->next);
        if (pid == x->now) {
            x->ended = true;
            x->status = status;
        } else if (pid == x->next) {
            x->next_ended = true;
            x->next_status = status;
        }
        while (x->ended && x->next != 0) {
            x->now = x->next;
            x->ended = x->next_ended;
            x->status = x->next_status;
            x->next = 0;
            x->next_ended = false;
            (void)link_hear_next(x->link, &x->next);
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

int stand_in(pid_t pid, int link)
{
    struct stand_in x = {.link = link, .now = pid};
    sigset_t set;
    siginfo_t got;

    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)sigemptyset(&set);
    for (size_t i = 0; i < N_ELEMS(passed); i++) {
        (void)sigaddset(&set, passed[i]);
    }
    (void)sigaddset(&set, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGCHLD, SIG_DFL);
    reap(&x);
    while (!x.ended) {
        int number = sigwaitinfo(&set, &got);

        /* A terminal has told both. */
        if (number > 0 && number != SIGCHLD && got.si_code != SI_KERNEL) {
            link_signal(x.link, number);
        }
        reap(&x);
    }
    return end_as(x.status);
}
