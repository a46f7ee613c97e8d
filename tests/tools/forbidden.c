/*
 * LD_PRELOAD: each thread of the server tries, once it has its name, what a process that
 * was taken over would try. A line "THREAD CALL ERROR" for each goes to the file that
 * SLUICE_FORBIDDEN names; it is opened before the server can be restricted. Calls that open
 * files use the folders SLUICE_FORBIDDEN_OUTSIDE and, with the policy and data/,
 * SLUICE_FORBIDDEN_INSIDE.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int out = -1;
static const char *outside, *inside;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SLUICE_FORBIDDEN");

    outside = getenv("SLUICE_FORBIDDEN_OUTSIDE");
    inside = getenv("SLUICE_FORBIDDEN_INSIDE");
    if (path != NULL && outside != NULL && inside != NULL) {
        out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    }
}

static void tell(const char *thread, const char *call, long result)
{
    const char *why = result >= 0 ? "OK" : strerrorname_np(errno);
    char line[200];
    int n = snprintf(line, sizeof line, "%s %s %s\n", thread, call, why);

    if (write(out, line, (size_t)n) != n) {
        abort();
    }
}

static long open_in(const char *dir, const char *name, int flags)
{
    char path[4096];
    long fd;

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd >= 0) {
        (void)close((int)fd);
    }
    return fd;
}

static long make_socket(int family, int type, int protocol)
{
    long fd = socket(family, type | SOCK_CLOEXEC, protocol);

    if (fd >= 0) {
        (void)close((int)fd);
    }
    return fd;
}

/* The launcher beside this process: the only one of its children. */
static pid_t launcher(void)
{
    char path[64], text[64] = "";
    int fd;

    (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!read(fd, text, sizeof text - 1);
        (void)close(fd);
    }
    return (pid_t)atoi(text);
}

static void try_launcher(const char *thread)
{
    char dir[64];
    pid_t pid = launcher();

    (void)snprintf(dir, sizeof dir, "/proc/%d", (int)pid);
    tell(thread, "launcher-there", pid > 1 ? 0 : -1);
    tell(thread, "launcher-kill", kill(pid, SIGKILL));
    tell(thread, "launcher-ptrace", ptrace(PTRACE_ATTACH, pid, NULL, NULL));
    tell(thread, "launcher-memory", open_in(dir, "mem", O_RDWR));
    tell(thread, "launcher-words", open_in(dir, "environ", O_RDONLY));
    tell(thread, "launcher-files", open_in(dir, "fd/0", O_RDONLY));
    tell(thread, "launcher-limits",
         prlimit(pid, RLIMIT_NPROC, &(struct rlimit){0, 0}, NULL));
    tell(thread, "launcher-pidfd", syscall(SYS_pidfd_open, pid, 0));
}

static void try_all(const char *thread)
{
    static char *const words[] = {"true", NULL}, *const none[] = {NULL};

    /* Of a name that is not there: it does not run where it is not forbidden. */
    tell(thread, "execve", execve("/none", words, none));
    tell(thread, "execve-there",
         access("/bin/true", X_OK) != 0
             ? 0
             : syscall(SYS_execveat, -1, "", words, none, 0));
    tell(thread, "ptrace", ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
    tell(thread, "mount", mount("none", "/none", "tmpfs", 0, NULL));
    tell(thread, "unshare", unshare(CLONE_NEWNET));
    tell(thread, "bpf", syscall(SYS_bpf, 99, NULL, 0));
    tell(thread, "io_uring", syscall(SYS_io_uring_setup, 0, NULL));
    tell(thread, "kill-parent", kill(getppid(), 0));
    tell(thread, "setuid", setuid(0));
    tell(thread, "fork",
         syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER, NULL, NULL, NULL, 0));
    tell(thread, "socket-packet", make_socket(AF_PACKET, SOCK_RAW, 0));
    tell(thread, "socket-vsock", make_socket(AF_VSOCK, SOCK_STREAM, 0));
    tell(thread, "socket-audit", make_socket(AF_NETLINK, SOCK_RAW, 9));
    try_launcher(thread);
    tell(thread, "socket-tcp", make_socket(AF_INET, SOCK_STREAM, 0));
    tell(thread, "socket-unix", make_socket(AF_UNIX, SOCK_DGRAM, 0));
    tell(thread, "read-outside", open_in(outside, "file", O_RDONLY));
    tell(thread, "write-outside", open_in(outside, "file", O_WRONLY));
    tell(thread, "make-outside", open_in(outside, "new", O_WRONLY | O_CREAT));
    tell(thread, "list-outside", open_in(outside, ".", O_RDONLY | O_DIRECTORY));
    tell(thread, "write-policy", open_in(inside, "policy.lua", O_WRONLY));
    tell(thread, "write-usr", open_in("/usr", "probe", O_WRONLY | O_CREAT));
    tell(thread, "read-policy", open_in(inside, "policy.lua", O_RDONLY));
    tell(thread, "write-data", open_in(inside, "data/probe", O_WRONLY | O_CREAT));
}

/* Threads of the load come before the restrictions, and would do harm. */
static bool is_restricted(void)
{
    char text[8192], *at;
    int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (fd >= 0) {
        (void)close(fd);
    }
    text[n < 0 ? 0 : n] = '\0';
    at = strstr(text, "\nSeccomp:\t");
    return at != NULL && at[10] == '2';
}

int pthread_setname_np(pthread_t thread, const char *name)
{
    int (*real)(pthread_t, const char *);
    void *found = dlsym(RTLD_NEXT, "pthread_setname_np");

    if (out >= 0 && is_restricted() && pthread_equal(thread, pthread_self())) {
        try_all(name);
    }
    memcpy(&real, &found, sizeof real);
    return real(thread, name);
}
