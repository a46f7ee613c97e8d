/*
 * fault_shim - preloaded: makes the file system below a folder fail, linger, or end
 * the process, by the rules of a control file that can be changed at any moment.
 *
 *   LD_PRELOAD=libfault_shim.so SLUICE_FAULTS=FILE SLUICE_FAULT_ROOT=DIR \
 *     build/sluice run POLICY
 *
 * See fault_rules.h for the file. Paths are compared as the program gives them, those
 * of descriptors as /proc has them: DIR is absolute, and has no links in it.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "fault_rules.h"

struct control {
    _Atomic uint64_t generation, changes, faults;
    char unused[FAULT_TEXT_AT - 24];
    char text[FAULT_COUNTS_AT - FAULT_TEXT_AT];
    _Atomic uint64_t by_rule[FAULT_RULES_MAX], by_op[12];
};

static struct control *control;
static char root[PATH_MAX];
static size_t root_n;
static struct fault_rule rules[FAULT_RULES_MAX];
static unsigned n_rules;
static uint64_t known; /* the generation of the rules; locked, as they are */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void start(void)
{
    const char *file = getenv("SLUICE_FAULTS"), *dir = getenv("SLUICE_FAULT_ROOT");
    int fd = file == NULL || dir == NULL
                 ? -1
                 : (int)syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC);
    void *p;

    if (fd < 0) {
        return;
    }
    root_n = (size_t)snprintf(root, sizeof root, "%s", dir);
    p = mmap(NULL, FAULT_FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    control = p == MAP_FAILED ? NULL : p;
}

/* ---- the orders ---- */

static void pause_ms(uint64_t ms)
{
    const struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    (void)nanosleep(&t, NULL);
}

/* Locked. */
static void learn(void)
{
    uint64_t now = atomic_load(&control->generation);

    if (now != known) {
        n_rules = fault_parse(control->text, rules, FAULT_RULES_MAX);
        known = now;
    }
}

/* A copy of the first rule that applies, and of which generation it is; false: none. */
static bool find(unsigned op, const char *path, const char *thread,
                 struct fault_rule *out, uint64_t *generation)
{
    bool found = false;

    (void)pthread_mutex_lock(&lock);
    learn();
    for (unsigned i = 0; i < n_rules && !found; i++) {
        found = fault_applies(&rules[i], op, path, thread);
        if (found) {
            *out = rules[i];
            *generation = known;
            (void)atomic_fetch_add(&control->by_rule[i], 1);
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return found;
}

/* The errno to fail with, or 0; *n: bytes of a read or write, may be made fewer. */
static int obey(const struct fault_rule *r, uint64_t now, size_t *n)
{
    (void)atomic_fetch_add(&control->faults, 1);
    switch (r->what) {
    case DO_SHORT:
        if (n != NULL && *n > 1) {
            *n /= 2;
        }
        return 0;
    case DO_DELAY:
        pause_ms(r->ms);
        return 0;
    case DO_HANG:
        while (atomic_load(&control->generation) == now) {
            pause_ms(2);
        }
        return 0;
    case DO_KILL:
        (void)kill(getpid(), SIGKILL);
        for (;;) {
            pause_ms(1000);
        }
    default:
        return r->error;
    }
}

static bool below(const char *path)
{
    return path != NULL && strncmp(path, root, root_n) == 0 &&
           (path[root_n] == '/' || path[root_n] == '\0');
}

/* True: the call fails, errno is set. */
static bool fails(unsigned op, const char *path, size_t *n)
{
    struct fault_rule rule;
    uint64_t generation;
    char thread[32] = "";
    int error = 0;

    if (control == NULL || !below(path)) {
        return false;
    }
    if (op & OP_CHANGE) {
        (void)atomic_fetch_add(&control->changes, 1);
    }
    (void)prctl(PR_GET_NAME, thread);
    rule.what = DO_HANG;
    while (rule.what == DO_HANG && find(op, path, thread, &rule, &generation)) {
        (void)atomic_fetch_add(&control->by_op[__builtin_ctz(op)], 1);
        error = obey(&rule, generation, n);
        errno = error != 0 ? error : errno;
    }
    return error != 0;
}

static bool fd_fails(unsigned op, int fd, size_t *n)
{
    char link[32], path[PATH_MAX];
    int before = errno;
    ssize_t got;

    if (control == NULL) {
        return false;
    }
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    got = readlink(link, path, sizeof path - 1);
    errno = before;
    if (got <= 0) {
        return false;
    }
    path[got] = '\0';
    return fails(op, path, n);
}

static void *next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

#define REAL(name)                                                                     \
    static __typeof__(&(name)) real;                                                   \
    real = real != NULL ? real : (__typeof__(&(name)))next(#name)

/* ---- reading and writing ---- */

ssize_t read(int fd, void *p, size_t n)
{
    REAL(read);
    return fd_fails(OP_READ, fd, &n) ? -1 : real(fd, p, n);
}

ssize_t pread64(int fd, void *p, size_t n, off_t at)
{
    REAL(pread64);
    return fd_fails(OP_READ, fd, &n) ? -1 : real(fd, p, n, at);
}

ssize_t pread(int fd, void *p, size_t n, off_t at)
{
    return pread64(fd, p, n, at);
}

ssize_t write(int fd, const void *p, size_t n)
{
    REAL(write);
    return fd_fails(OP_WRITE, fd, &n) ? -1 : real(fd, p, n);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
    REAL(pwrite64);
    return fd_fails(OP_WRITE, fd, &n) ? -1 : real(fd, p, n, at);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return pwrite64(fd, p, n, at);
}

static size_t total(const struct iovec *v, int n)
{
    size_t sum = 0;

    for (int i = 0; i < n; i++) {
        sum += v[i].iov_len;
    }
    return sum;
}

ssize_t pwritev64(int fd, const struct iovec *v, int n, off_t at)
{
    size_t all = total(v, n), most = all;

    REAL(pwritev64);
    if (fd_fails(OP_WRITE, fd, &most)) {
        return -1;
    }
    if (most < all) { /* a part of the first */
        return pwrite64(fd, v[0].iov_base, most < v[0].iov_len ? most : v[0].iov_len,
                        at);
    }
    return real(fd, v, n, at);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
    return pwritev64(fd, v, n, at);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
    size_t all = total(v, n), most = all;

    REAL(writev);
    if (fd_fails(OP_WRITE, fd, &most)) {
        return -1;
    }
    return most < all
               ? write(fd, v[0].iov_base, most < v[0].iov_len ? most : v[0].iov_len)
               : real(fd, v, n);
}

int fsync(int fd)
{
    REAL(fsync);
    return fd_fails(OP_SYNC, fd, NULL) ? -1 : real(fd);
}

int fdatasync(int fd)
{
    REAL(fdatasync);
    return fd_fails(OP_SYNC, fd, NULL) ? -1 : real(fd);
}

int fallocate64(int fd, int mode, off_t at, off_t n)
{
    REAL(fallocate64);
    return fd_fails(OP_ALLOC, fd, NULL) ? -1 : real(fd, mode, at, n);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
    return fallocate64(fd, mode, at, n);
}

int ftruncate64(int fd, off_t n)
{
    REAL(ftruncate64);
    return fd_fails(OP_ALLOC, fd, NULL) ? -1 : real(fd, n);
}

int ftruncate(int fd, off_t n)
{
    return ftruncate64(fd, n);
}

int sync_file_range(int fd, off_t at, off_t n, unsigned flags)
{
    REAL(sync_file_range);
    return fd_fails(OP_RANGE, fd, NULL) ? -1 : real(fd, at, n, flags);
}

/* ---- names ---- */

static bool open_fails(const char *path, int flags)
{
    return fails(flags & O_CREAT ? OP_CREATE : OP_OPEN, path, NULL);
}

int openat64(int dir, const char *path, int flags, ...)
{
    REAL(openat64);
    mode_t mode = 0;
    va_list args;

    if (flags & (O_CREAT | O_TMPFILE)) {
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return open_fails(path, flags) ? -1 : real(dir, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list args;

    if (flags & (O_CREAT | O_TMPFILE)) {
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return openat64(AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list args;

    if (flags & (O_CREAT | O_TMPFILE)) {
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return openat64(AT_FDCWD, path, flags, mode);
}

int rename(const char *from, const char *to)
{
    REAL(rename);
    return fails(OP_RENAME, to, NULL) ? -1 : real(from, to);
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    REAL(renameat2);
    return fails(OP_RENAME, to, NULL) ? -1 : real(a, from, b, to, flags);
}

int link(const char *from, const char *to)
{
    REAL(link);
    return fails(OP_LINK, to, NULL) ? -1 : real(from, to);
}

int unlink(const char *path)
{
    REAL(unlink);
    return fails(OP_UNLINK, path, NULL) ? -1 : real(path);
}

int rmdir(const char *path)
{
    REAL(rmdir);
    return fails(OP_UNLINK, path, NULL) ? -1 : real(path);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);
    return fails(OP_CREATE, path, NULL) ? -1 : real(path, mode);
}

DIR *opendir(const char *path)
{
    REAL(opendir);
    return fails(OP_LIST, path, NULL) ? NULL : real(path);
}

struct dirent64 *readdir64(DIR *dir)
{
    REAL(readdir64);
    return fd_fails(OP_LIST, dirfd(dir), NULL) ? NULL : real(dir);
}

struct dirent *readdir(DIR *dir)
{
    REAL(readdir);
    return fd_fails(OP_LIST, dirfd(dir), NULL) ? NULL : real(dir);
}

/* libc opens by a call of its own. */
FILE *fopen64(const char *path, const char *mode)
{
    REAL(fopen64);
    return fails(mode[0] == 'r' ? OP_OPEN : OP_CREATE, path, NULL) ? NULL
                                                                   : real(path, mode);
}

FILE *fopen(const char *path, const char *mode)
{
    return fopen64(path, mode);
}

/* ---- questions ---- */

int stat64(const char *path, struct stat64 *st)
{
    REAL(stat64);
    return fails(OP_STAT, path, NULL) ? -1 : real(path, st);
}

int stat(const char *path, struct stat *st)
{
    REAL(stat);
    return fails(OP_STAT, path, NULL) ? -1 : real(path, st);
}

int lstat64(const char *path, struct stat64 *st)
{
    REAL(lstat64);
    return fails(OP_STAT, path, NULL) ? -1 : real(path, st);
}

int fstat64(int fd, struct stat64 *st)
{
    REAL(fstat64);
    return fd_fails(OP_STAT, fd, NULL) ? -1 : real(fd, st);
}

int fstat(int fd, struct stat *st)
{
    REAL(fstat);
    return fd_fails(OP_STAT, fd, NULL) ? -1 : real(fd, st);
}

int access(const char *path, int mode)
{
    REAL(access);
    return fails(OP_STAT, path, NULL) ? -1 : real(path, mode);
}

int statvfs64(const char *path, struct statvfs64 *st)
{
    REAL(statvfs64);
    return fails(OP_STAT, path, NULL) ? -1 : real(path, st);
}

int statvfs(const char *path, struct statvfs *st)
{
    REAL(statvfs);
    return fails(OP_STAT, path, NULL) ? -1 : real(path, st);
}
