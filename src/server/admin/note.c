#include "server/admin/note.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/write.h"

static void path_of(const char *spool_dir, const char *name, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s/%s", spool_dir, name);
}

bool note_write(const char *spool_dir, const char *address, bool tls, struct err *e)
{
    char path[PATH_MAX], next[PATH_MAX], text[NOTE_ADDRESS + 48];
    int n = snprintf(text, sizeof text, "%s%s %ld\n", tls ? "https://" : "", address,
                     (long)getpid());
    bool ok;
    int fd;

    path_of(spool_dir, "ADMIN", path);
    path_of(spool_dir, "ADMIN.new", next);
    fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    ok = fd >= 0 && write_at(fd, text, (size_t)n, 0);
    if (fd >= 0) {
        (void)close(fd);
    }
    return (ok && rename(next, path) == 0) || err_errno(e, errno, "%s", path);
}

bool note_there(const char *spool_dir)
{
    char path[PATH_MAX];

    path_of(spool_dir, "ADMIN", path);
    return path_there(path) != 0; /* one that is not to be seen may be there */
}

/* The process that holds the lock on the file with this inode; 0: none that is seen from
 * here; -1: the system does not tell. The device is not compared: file systems in layers
 * show another one here. So a file of another file system may have the same number, as on
 * each tmpfs: wanted is believed if it holds one of them. */
static long holder_of(unsigned long long inode, long wanted)
{
    FILE *f = fopen("/proc/locks", "re");
    char line[256];
    long found = f == NULL ? -1 : 0;

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        unsigned long long at;
        long pid;

        /* 1: FLOCK  ADVISORY  WRITE 812 fe:01:131075 0 EOF */
        if (strstr(line, "->") == NULL && strstr(line, " FLOCK ") != NULL &&
            sscanf(line, "%*s %*s %*s WRITE %ld %*x:%*x:%llu", &pid, &at) == 2 &&
            at == inode && found != wanted) {
            found = pid;
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

static bool read_text(struct note *n, const char *path, struct err *e)
{
    FILE *f = fopen(path, "re");
    bool ok;

    if (f == NULL) {
        return errno == ENOENT
                   ? err_set(e,
                             "%s is not there: no server has noted its address; name "
                             "it with --admin ADDRESS",
                             path)
                   : err_set(e,
                             "%s: %s; run the command as the user of the server or as "
                             "root, or name the server with --admin ADDRESS",
                             path, strerror(errno));
    }
    ok = fscanf(f, "%191s %ld", n->address, &n->pid) == 2;
    (void)fclose(f);
    return ok || err_set(e,
                         "%s does not read as ADDRESS PID; name the server with "
                         "--admin ADDRESS",
                         path);
}

bool note_read(struct note *n, const char *spool_dir, struct err *e)
{
    char path[PATH_MAX];
    struct stat st;
    long pid;

    path_of(spool_dir, "ADMIN", path);
    if (!read_text(n, path, e)) {
        return false;
    }
    path_of(spool_dir, "LOCK", path);
    if (stat(path, &st) != 0) {
        return err_errno(e, errno, "%s", path);
    }
    pid = holder_of((unsigned long long)st.st_ino, n->pid);
    if (pid == n->pid) {
        return true;
    }
    if (pid < 0) {
        return err_set(e,
                       "can't tell whether the server of %s runs, because "
                       "/proc/locks can't be read; name it with --admin ADDRESS",
                       spool_dir);
    }
    return pid == 0
               ? err_set(e, "no server runs with the spool %s; the last one was at %s",
                         spool_dir, n->address)
               : err_set(e,
                         "process %ld has the spool %s, and has not noted its address "
                         "yet; name it with --admin ADDRESS",
                         pid, spool_dir);
}
