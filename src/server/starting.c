#include "server/starting.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/supervisor.h"

/* From then on it is said that it takes long; and what one that was told to end has. */
enum { LATE_MS = 10000, GRACE_MS = 2000 };

static void signals_of(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
}

static int left_ms(uint64_t until_ns)
{
    uint64_t now = clock_mono_ns();

    return now >= until_ns ? 0 : (int)((until_ns - now) / 1000000u) + 1;
}

/* Waits for a signal or the end of the start; the signal, 0 for the end. */
static int await(const struct starting *t)
{
    struct pollfd fds[] = {{.fd = t->over, .events = POLLIN},
                           {.fd = t->signals, .events = POLLIN}};
    uint64_t late_ns = clock_mono_ns() + LATE_MS * 1000000ull;
    struct signalfd_siginfo got;
    char quoted[PATH_MAX];
    bool late = false;

    for (;;) {
        int n = poll(fds, 2, late ? -1 : left_ms(late_ns));

        if (n > 0 && fds[0].revents != 0) {
            return 0;
        }
        if (n > 0 && read(t->signals, &got, sizeof got) == (ssize_t)sizeof got) {
            return (int)got.ssi_signo;
        }
        if (n == 0 && !late) {
            late = true;
            log_write(LOG_WARN, "start_late",
                      "data=%s why=\"the start has not come to an end for 10 s (a disk "
                      "that is slow or hangs?)\"",
                      log_word(quoted, sizeof quoted, t->data_dir));
        }
    }
}

static bool ends_in_time(const struct starting *t)
{
    struct pollfd fd = {.fd = t->over, .events = POLLIN};
    uint64_t until_ns = clock_mono_ns() + GRACE_MS * 1000000ull;
    int n;

    do {
        n = poll(&fd, 1, left_ms(until_ns));
    } while (n < 0 && errno == EINTR);
    return n > 0;
}

static void *run(void *arg)
{
    const struct starting *t = arg;
    int number = await(t);

    if (number == 0) {
        return NULL;
    }
    if (!ends_in_time(t)) {
        log_write(LOG_WARN, "stopped",
                  "exit=%d stuck=true why=\"the start does not come to an end (a disk "
                  "that hangs?)\"",
                  EXIT_OK);
        _exit(EXIT_OK);
    }
    (void)kill(getpid(), number); /* blocked until starting_end */
    return NULL;
}

void starting_begin(struct starting *t, const char *data_dir)
{
    sigset_t set, all, before;

    signals_of(&set);
    *t = (struct starting){.data_dir = data_dir,
                           .signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
                           .over = eventfd(0, EFD_CLOEXEC)};
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    if (t->signals < 0 || t->over < 0 ||
        pthread_create(&t->thread, NULL, run, t) != 0) {
        (void)close(t->signals);
        t->signals = -1;
    } else {
        (void)pthread_setname_np(t->thread, "start");
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (t->signals < 0) {
        (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
}

void starting_end(struct starting *t)
{
    static const uint64_t one = 1;
    sigset_t set;

    signals_of(&set);
    if (t->signals >= 0) {
        while (write(t->over, &one, sizeof one) < 0 && errno == EINTR) {
        }
        (void)pthread_join(t->thread, NULL);
        (void)close(t->signals);
    }
    if (t->over >= 0) {
        (void)close(t->over);
    }
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
