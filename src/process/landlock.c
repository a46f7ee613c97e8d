#include "process/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"

/* Of newer kernels than the headers that this is built with. */
enum {
    FIRST_ABI = 2, /* before it no file can be renamed to another folder */
    TRUNCATE_ABI = 3,
    IOCTL_ABI = 5,
    SCOPED_ABI = 6
};
static const uint64_t TRUNCATE = 1u << 14, IOCTL_DEV = 1u << 15;
static const uint64_t SCOPE_ABSTRACT = 1u << 0, SCOPE_SIGNAL = 1u << 1;

struct attributes {
    uint64_t fs, net, scoped;
};

static const uint64_t READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t WRITE =
    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
    LANDLOCK_ACCESS_FS_REFER;
/* Those that a rule for a file, not a folder, can have. */
static const uint64_t OF_FILES =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | 1u << 14 | 1u << 15;

int landlock_abi(struct err *e)
{
    long abi =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (abi < 0) {
        (void)err_errno(e, errno, "the kernel has no Landlock");
        return 0;
    }
    if (abi < FIRST_ABI) {
        (void)err_set(e, "the kernel's Landlock is too old (version %ld, 2 is needed)",
                      abi);
        return 0;
    }
    return (int)abi;
}

bool landlock_begin(struct landlock *l, bool abstract, struct err *e)
{
    struct attributes a = {0, 0, 0};
    size_t bytes = sizeof a.fs;

    *l = (struct landlock){.fd = -1, .abi = landlock_abi(e)};
    if (l->abi == 0) {
        return false;
    }
    l->handled = READ | WRITE | LANDLOCK_ACCESS_FS_EXECUTE |
                 LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
    l->handled |= l->abi >= TRUNCATE_ABI ? TRUNCATE : 0;
    l->handled |= l->abi >= IOCTL_ABI ? IOCTL_DEV : 0;
    a.fs = l->handled;
    if (l->abi >= SCOPED_ABI) {
        a.scoped = abstract ? SCOPE_SIGNAL : SCOPE_SIGNAL | SCOPE_ABSTRACT;
        bytes = sizeof a;
    }
    l->fd = (int)syscall(SYS_landlock_create_ruleset, &a, bytes, 0);
    return l->fd >= 0 || err_errno(e, errno, "the kernel gives no Landlock rules");
}

static bool allow(struct landlock *l, const char *path, uint64_t rights, struct err *e)
{
    struct landlock_path_beneath_attr rule = {.parent_fd =
                                                  open(path, O_PATH | O_CLOEXEC)};
    struct stat st;
    bool ok;

    if (rule.parent_fd < 0) {
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ||
               err_errno(e, errno, "%s", path);
    }
    ok = fstat(rule.parent_fd, &st) == 0;
    rule.allowed_access =
        rights & l->handled & (ok && S_ISDIR(st.st_mode) ? UINT64_MAX : OF_FILES);
    /* EBADFD: no file system of files, such as a pipe by /dev/stdout; none is held back. */
    ok = ok && (syscall(SYS_landlock_add_rule, l->fd, LANDLOCK_RULE_PATH_BENEATH, &rule,
                        0) == 0 ||
                errno == EBADFD);
    if (!ok) {
        (void)err_errno(e, errno, "%s: no Landlock rule for it", path);
    }
    (void)close(rule.parent_fd);
    return ok;
}

bool landlock_read(struct landlock *l, const char *path, struct err *e)
{
    return allow(l, path, READ, e);
}

bool landlock_write(struct landlock *l, const char *path, struct err *e)
{
    return allow(l, path, READ | WRITE | TRUNCATE, e);
}

bool landlock_remove(struct landlock *l, const char *folder, struct err *e)
{
    return allow(l, folder, LANDLOCK_ACCESS_FS_REMOVE_FILE, e);
}

void landlock_cancel(struct landlock *l)
{
    if (l->fd >= 0) {
        (void)close(l->fd);
        l->fd = -1;
    }
}

bool landlock_end(struct landlock *l, struct err *e)
{
    bool ok = syscall(SYS_landlock_restrict_self, l->fd, 0) == 0 ||
              err_errno(e, errno, "Landlock's rules can't be used");

    landlock_cancel(l);
    return ok;
}
