#include "tables/guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static struct {
    _Atomic uintptr_t from, end; /* from 0: free */
    atomic_bool damaged;
} guards[GUARDS_MAX];

static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before;
static uintptr_t page_bytes;
static _Thread_local bool thread_is_ready;

/* Not ours: as if there were no handler. The access is tried again when it returns. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction != NULL) {
        before.sa_sigaction(number, info, context);
    } else {
        (void)signal(number, SIG_DFL);
    }
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)info->si_addr, page = at & ~(page_bytes - 1);

    for (int i = 0; i < GUARDS_MAX; i++) {
        uintptr_t from = atomic_load(&guards[i].from);

        if (from == 0 || at < from || at >= atomic_load(&guards[i].end)) {
            continue;
        }
        atomic_store(&guards[i].damaged, true);
        /* A plain system call on Linux, so that a handler may use it. */
        if (mmap((void *)page, page_bytes, PROT_READ,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) {
            return;
        }
    }
    pass_on(number, info, context);
}

/* Also where somebody else has taken the signal since. */
static void install(void)
{
    struct sigaction a = {.sa_sigaction = on_sigbus,
                          .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigaction now;

    if (sigaction(SIGBUS, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) != 0 &&
        now.sa_sigaction == on_sigbus) {
        return;
    }
    before = now;
    page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    (void)sigemptyset(&a.sa_mask);
    (void)sigaction(SIGBUS, &a, NULL);
}

int guard_add(const void *base, size_t bytes)
{
    int found = -1;

    (void)pthread_mutex_lock(&adding);
    install();
    for (int i = 0; i < GUARDS_MAX && found < 0; i++) {
        if (atomic_load(&guards[i].from) == 0) {
            atomic_store(&guards[i].damaged, false);
            atomic_store(&guards[i].end, (uintptr_t)base + bytes);
            atomic_store(&guards[i].from, (uintptr_t)base);
            found = i;
        }
    }
    (void)pthread_mutex_unlock(&adding);
    return found;
}

void guard_remove(int guard)
{
    atomic_store(&guards[guard].from, 0);
}

void guard_thread(void)
{
    sigset_t set;

    if (!thread_is_ready) {
        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGBUS);
        (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
        thread_is_ready = true;
    }
}

bool guard_damaged(int guard)
{
    atomic_thread_fence(memory_order_acquire); /* after the caller's reads */
    return atomic_load_explicit(&guards[guard].damaged, memory_order_relaxed);
}
