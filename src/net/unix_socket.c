#include "net/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

enum { LOCK_TRIES = 200, LOCK_WAIT_NS = 10000000, BIND_TRIES = 3 };

static bool address_of_path(const char *path, struct sockaddr_un *sa, struct err *e)
{
    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (path[0] != '/') {
        return err_set(e, "can't listen on unix:%.60s: expected an absolute path",
                       path);
    }
    if (strlen(path) >= sizeof sa->sun_path) {
        return err_set(
            e,
            "can't listen on unix:%.60s…: the path has %zu bytes, and a Unix "
            "socket's has at most %zu",
            path, strlen(path), sizeof sa->sun_path - 1);
    }
    memcpy(sa->sun_path, path, strlen(path) + 1);
    return true;
}

/* Whole digits are the number itself. */
static bool number_of(const char *name, unsigned *id)
{
    char *end;
    unsigned long v = strtoul(name, &end, 10);

    if (name[0] < '0' || name[0] > '9' || *end != '\0' || v >= (unsigned)-1) {
        return false;
    }
    *id = (unsigned)v;
    return true;
}

static bool find_owner(const struct unix_rights *r, uid_t *uid, gid_t *gid,
                       struct err *e)
{
    const struct passwd *user;
    const struct group *group;

    *uid = (uid_t)-1;
    *gid = (gid_t)-1;
    if (r->user != NULL && !number_of(r->user, uid)) {
        user = getpwnam(r->user);
        if (user == NULL) {
            return err_set(e, "there is no user \"%.60s\"", r->user);
        }
        *uid = user->pw_uid;
    }
    if (r->group != NULL && !number_of(r->group, gid)) {
        group = getgrnam(r->group);
        if (group == NULL) {
            return err_set(e, "there is no group \"%.60s\"", r->group);
        }
        *gid = group->gr_gid;
    }
    return true;
}

/* The lock ends with the descriptor. -1: *e. */
static int lock_folder(const char *path, struct err *e)
{
    char dir[UNIX_PATH_BYTES];
    const struct timespec pause = {0, LOCK_WAIT_NS};
    int fd;

    (void)snprintf(dir, sizeof dir, "%s", path);
    *(strrchr(dir, '/') + (strrchr(dir, '/') == dir)) = '\0';
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        (void)err_errno(e, errno, "can't listen on unix:%s: can't open its folder",
                        path);
        return -1;
    }
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if (i == LOCK_TRIES || (errno != EWOULDBLOCK && errno != EINTR)) {
            (void)err_errno(e, errno, "can't listen on unix:%s: can't lock its folder",
                            path);
            (void)close(fd);
            return -1;
        }
        (void)nanosleep(&pause, NULL);
    }
    return fd;
}

/* Something has that name. True: it was a socket without a listener, and is gone. */
static bool clear(const struct sockaddr_un *sa, struct err *e)
{
    struct stat st;
    int fd, rc, why;

    if (lstat(sa->sun_path, &st) != 0) {
        return errno == ENOENT ||
               err_errno(e, errno, "can't listen on unix:%s", sa->sun_path);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return err_set(e,
                       "can't listen on unix:%s: the path is taken by a file that is "
                       "no socket, which sluice does not remove",
                       sa->sun_path);
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_errno(e, errno, "can't listen on unix:%s", sa->sun_path);
    }
    rc = connect(fd, (const struct sockaddr *)sa, sizeof *sa);
    why = rc == 0 ? 0 : errno;
    (void)close(fd);
    if (why == 0 || why == EAGAIN || why == EINPROGRESS) {
        return err_set(e, "can't listen on unix:%s: another process listens on it",
                       sa->sun_path);
    }
    if (why != ECONNREFUSED) {
        return why == ENOENT ||
               err_errno(e, why,
                         "can't listen on unix:%s: can't tell whether a process "
                         "listens on it",
                         sa->sun_path);
    }
    if (unlink(sa->sun_path) != 0 && errno != ENOENT) {
        return err_errno(e, errno,
                         "can't listen on unix:%s: can't remove the socket that an "
                         "earlier process left",
                         sa->sun_path);
    }
    return true;
}

static bool bind_path(int fd, const struct sockaddr_un *sa, struct err *e)
{
    for (int i = 0; bind(fd, (const struct sockaddr *)sa, sizeof *sa) != 0; i++) {
        if (errno != EADDRINUSE || i == BIND_TRIES) {
            return err_errno(e, errno, "can't listen on unix:%s", sa->sun_path);
        }
        if (!clear(sa, e)) {
            return false;
        }
    }
    return true;
}

/* Between bind and listen each client is refused, so the rights come before any. */
static bool give_rights(const struct unix_socket *s, const struct unix_rights *r,
                        struct err *e)
{
    uid_t uid;
    gid_t gid;

    if (!find_owner(r, &uid, &gid, e)) {
        return false;
    }
    if ((uid != (uid_t)-1 || gid != (gid_t)-1) && lchown(s->path, uid, gid) != 0) {
        return err_errno(e, errno, "can't give unix:%s to its owner", s->path);
    }
    if (chmod(s->path, r->mode) != 0) {
        return err_errno(e, errno, "can't set the mode of unix:%s", s->path);
    }
    return true;
}

/* file: the socket's file itself, by which neither is a link followed nor a file meant
 * that has taken its name since. */
static bool change_rights(int file, const struct stat *st, const struct unix_socket *s,
                          const struct unix_rights *r, struct err *e)
{
    char self[32];
    uid_t uid;
    gid_t gid;

    if (!find_owner(r, &uid, &gid, e)) {
        return false;
    }
    uid = uid == st->st_uid ? (uid_t)-1 : uid;
    gid = gid == st->st_gid ? (gid_t)-1 : gid;
    if ((uid != (uid_t)-1 || gid != (gid_t)-1) &&
        fchownat(file, "", uid, gid, AT_EMPTY_PATH) != 0) {
        return err_errno(e, errno, "can't give unix:%s to its owner", s->path);
    }
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", file);
    if ((st->st_mode & 07777) != r->mode && chmod(self, r->mode) != 0) {
        return err_errno(e, errno, "can't set the mode of unix:%s", s->path);
    }
    return true;
}

bool unix_socket_rights(const struct unix_socket *s, const struct unix_rights *r,
                        struct err *e)
{
    int file = open(s->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    bool ok = true;

    if (file >= 0 && fstat(file, &st) == 0 && st.st_dev == s->dev &&
        st.st_ino == s->ino) {
        ok = change_rights(file, &st, s, r, e);
    }
    if (file >= 0) {
        (void)close(file);
    }
    return ok;
}

bool unix_socket_open(const char *path, const struct unix_rights *r,
                      struct unix_socket *s, struct err *e)
{
    struct sockaddr_un sa;
    struct stat st;
    int lock;
    bool ok;

    *s = (struct unix_socket){.fd = -1};
    if (!address_of_path(path, &sa, e)) {
        return false;
    }
    lock = lock_folder(path, e);
    if (lock < 0) {
        return false;
    }
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ok = s->fd >= 0 || err_errno(e, errno, "can't listen on unix:%s", path);
    if (ok) {
        (void)fchmod(s->fd, 0); /* the mode of the file that bind makes */
        ok = bind_path(s->fd, &sa, e);
    }
    if (ok) {
        memcpy(s->path, sa.sun_path, sizeof s->path);
        ok = lstat(path, &st) == 0 ||
             err_errno(e, errno, "can't listen on unix:%s", path);
    }
    if (ok) {
        s->dev = st.st_dev;
        s->ino = st.st_ino;
        ok = give_rights(s, r, e) &&
             (listen(s->fd, SOMAXCONN) == 0 ||
              err_errno(e, errno, "can't listen on unix:%s", path));
    }
    if (!ok) {
        unix_socket_close(s);
    }
    (void)close(lock);
    return ok;
}

void unix_socket_adopt(const char *path, int fd, struct unix_socket *s)
{
    *s = (struct unix_socket){.fd = fd};
    (void)snprintf(s->path, sizeof s->path, "%s", path);
}

void unix_socket_own(struct unix_socket *s)
{
    struct stat st;

    if (s->fd >= 0 && s->ino == 0 && lstat(s->path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        s->dev = st.st_dev;
        s->ino = st.st_ino;
    }
}

void unix_socket_close(struct unix_socket *s)
{
    struct stat st;

    if (s->fd < 0) {
        return;
    }
    if (s->ino != 0 && lstat(s->path, &st) == 0 && st.st_dev == s->dev &&
        st.st_ino == s->ino) {
        (void)unlink(s->path);
    }
    (void)close(s->fd);
    *s = (struct unix_socket){.fd = -1};
}
