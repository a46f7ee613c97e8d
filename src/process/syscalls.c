#include "process/syscalls.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/err.h"

/* Names that this machine or the library does not know are left out. */
static const char *const allowed[] = {
    /* files */
    "read",
    "write",
    "pread64",
    "pwrite64",
    "readv",
    "writev",
    "preadv",
    "pwritev",
    "preadv2",
    "pwritev2",
    "open",
    "openat",
    "openat2",
    "close",
    "close_range",
    "stat",
    "fstat",
    "lstat",
    "newfstatat",
    "statx",
    "statfs",
    "fstatfs",
    "access",
    "faccessat",
    "faccessat2",
    "lseek",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "fallocate",
    "ftruncate",
    "truncate",
    "fadvise64",
    "readahead",
    "flock",
    "fcntl",
    "dup",
    "dup2",
    "dup3",
    "pipe",
    "pipe2",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "getdents",
    "getdents64",
    "getcwd",
    "readlink",
    "readlinkat",
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "utimensat",
    "umask",
    "sendfile",
    "copy_file_range",
    "splice",
    "tee",
    "memfd_create",
    "creat",
    "inotify_init1",
    "inotify_add_watch",
    "inotify_rm_watch",
    /* memory */
    "mmap",
    "munmap",
    "mprotect",
    "mremap",
    "madvise",
    "msync",
    "mincore",
    "brk",
    "membarrier",
    "get_mempolicy",
    /* sockets; which kinds of them is below */
    "socketpair",
    "bind",
    "listen",
    "accept",
    "accept4",
    "connect",
    "shutdown",
    "getsockname",
    "getpeername",
    "getsockopt",
    "setsockopt",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    /* waiting */
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "eventfd",
    "eventfd2",
    "signalfd4",
    "timerfd_create",
    "timerfd_settime",
    "timerfd_gettime",
    "nanosleep",
    "clock_nanosleep",
    "pause",
    "restart_syscall",
    /* threads and signals; clone and signals to others are below */
    "futex",
    "set_robust_list",
    "get_robust_list",
    "rseq",
    "set_tid_address",
    "gettid",
    "getpid",
    "getppid",
    "getpgrp",
    "wait4",
    "waitid",
    "exit",
    "exit_group",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigtimedwait",
    "rt_sigpending",
    "rt_sigsuspend",
    "sigaltstack",
    "sched_yield",
    "sched_getaffinity",
    "sched_setaffinity",
    "sched_getparam",
    "sched_getscheduler",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "getpriority",
    "setpriority",
    /* what the process is and has */
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getresuid",
    "getresgid",
    "getgroups",
    "capget",
    "getrlimit",
    "setrlimit",
    "getrusage",
    "times",
    "sysinfo",
    "uname",
    "getcpu",
    "getrandom",
    "clock_gettime",
    "clock_getres",
    "gettimeofday",
    "time",
};

static const char *const forbidden[] = {
    "execve",
    "execveat",
    "fork",
    "vfork",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "pidfd_getfd",
    "pidfd_open",
    "pidfd_send_signal",
    "kcmp",
    "mount",
    "umount2",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsmount",
    "fsconfig",
    "fspick",
    "mount_setattr",
    "pivot_root",
    "chroot",
    "unshare",
    "setns",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "keyctl",
    "add_key",
    "request_key",
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "reboot",
    "swapon",
    "swapoff",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "sethostname",
    "setdomainname",
    "acct",
    "quotactl",
    "syslog",
    "ioperm",
    "iopl",
    "personality",
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setgroups",
    "setfsuid",
    "setfsgid",
    "capset",
    "mknod",
    "mknodat",
    "symlink",
    "symlinkat",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "name_to_handle_at",
    "open_by_handle_at",
    "fanotify_init",
    "seccomp",
    "shmget",
    "shmat",
    "msgget",
    "semget",
    "mq_open",
    "setsid",
    "setpgid",
    "vhangup",
};

/* One argument of a call, and what it may be. */
struct rule {
    const char *name;
    struct scmp_arg_cmp is;
};

static bool add(scmp_filter_ctx f, uint32_t action, const char *name, unsigned n,
                const struct scmp_arg_cmp *is, struct err *e)
{
    int number = seccomp_syscall_resolve_name(name);
    int rc = number == __NR_SCMP_ERROR
                 ? 0
                 : seccomp_rule_add_array(f, action, number, n, is);

    return rc == 0 || err_errno(e, -rc, "no seccomp rule for %s", name);
}

static bool add_all(scmp_filter_ctx f, uint32_t action, const char *const *names,
                    size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (!add(f, action, names[i], 0, NULL, e)) {
            return false;
        }
    }
    return true;
}

/* Threads, never processes or namespaces; clone3 has its flags in memory, where no filter
 * sees them, and libc does without it. Signals
 * and limits are for this process alone. */
static bool add_arguments(scmp_filter_ctx f, struct err *e)
{
    const scmp_datum_t me = (scmp_datum_t)getpid();
    const scmp_datum_t spaces = CLONE_THREAD | CLONE_NEWNS | CLONE_NEWUSER |
                                CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                                CLONE_NEWUTS | CLONE_NEWCGROUP;
    const struct rule rules[] = {
        {"clone", SCMP_A0(SCMP_CMP_MASKED_EQ, spaces, CLONE_THREAD)},
        {"kill", SCMP_A0(SCMP_CMP_EQ, me)},
        {"tgkill", SCMP_A0(SCMP_CMP_EQ, me)},
        {"rt_sigqueueinfo", SCMP_A0(SCMP_CMP_EQ, me)},
        {"rt_tgsigqueueinfo", SCMP_A0(SCMP_CMP_EQ, me)},
        {"prlimit64", SCMP_A0(SCMP_CMP_EQ, 0)},
        {"prlimit64", SCMP_A0(SCMP_CMP_EQ, me)},
        {"socket", SCMP_A0(SCMP_CMP_EQ, AF_UNIX)},
        {"socket", SCMP_A0(SCMP_CMP_EQ, AF_INET)},
        {"socket", SCMP_A0(SCMP_CMP_EQ, AF_INET6)},
        {"ioctl", SCMP_A1(SCMP_CMP_EQ, FIONBIO)},
        {"ioctl", SCMP_A1(SCMP_CMP_EQ, FIONREAD)},
        {"ioctl", SCMP_A1(SCMP_CMP_EQ, TCGETS)},
        {"ioctl", SCMP_A1(SCMP_CMP_EQ, SIOCGIFINDEX)},
        {"ioctl", SCMP_A1(SCMP_CMP_EQ, SIOCGIFNAME)},
        {"ioctl", SCMP_A1(SCMP_CMP_EQ, FICLONE)},
        {"prctl", SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)},
        {"prctl", SCMP_A0(SCMP_CMP_EQ, PR_GET_NAME)},
        {"prctl", SCMP_A0(SCMP_CMP_EQ, PR_GET_DUMPABLE)},
        {"prctl", SCMP_A0(SCMP_CMP_EQ, PR_CAPBSET_READ)},
        {"prctl", SCMP_A0(SCMP_CMP_EQ, PR_SET_CHILD_SUBREAPER)},
    };
    /* getaddrinfo asks the kernel for the machine's addresses. */
    const struct scmp_arg_cmp route[] = {SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
                                         SCMP_A2(SCMP_CMP_EQ, NETLINK_ROUTE)};

    for (size_t i = 0; i < N_ELEMS(rules); i++) {
        if (!add(f, SCMP_ACT_ALLOW, rules[i].name, 1, &rules[i].is, e)) {
            return false;
        }
    }
    return add(f, SCMP_ACT_ALLOW, "socket", 2, route, e);
}

static bool fill(scmp_filter_ctx f, struct err *e)
{
    /* Speculation is not made slower: what is kept from this process is in the kernel, not
     * in its own memory. */
    if (seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1) != 0 ||
        seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2) != 0) {
        return err_set(e, "the kernel's seccomp can't restrict all threads");
    }
    (void)seccomp_attr_set(f, SCMP_FLTATR_CTL_SSB, 1);
    return add_all(f, SCMP_ACT_ALLOW, allowed, N_ELEMS(allowed), e) &&
           add_all(f, SCMP_ACT_ERRNO(EPERM), forbidden, N_ELEMS(forbidden), e) &&
           add_arguments(f, e);
}

bool syscalls_restrict(struct err *e)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    bool ok;
    int rc;

    if (f == NULL) {
        return err_set(e, "no seccomp filter can be made");
    }
    ok = fill(f, e);
    rc = ok ? seccomp_load(f) : 0;
    seccomp_release(f);
    return ok && (rc == 0 || err_errno(e, -rc, "the kernel takes no seccomp filter"));
}
