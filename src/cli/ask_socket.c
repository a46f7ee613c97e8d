/* Why no server answers at a socket of Unix: libcurl says only that it can't connect. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/ask.h"

static const char OTHERS[] = "name another with --admin ADDRESS or --spool DIR";

/* errno of an attempt; 0: there is a server now. */
static int try_connect(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int why = 0;

    (void)snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        why = errno;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return why;
}

static bool forbidden(const char *path, const char *where, int why, struct err *e)
{
    const struct passwd *user = NULL;
    struct stat st;

    if (stat(path, &st) == 0) {
        user = getpwuid(st.st_uid);
    }
    return err_set(
        e,
        "the socket %s can't be used: %s; run the command as the user of the "
        "server%s%.60s%s or as root",
        where, strerror(why), user == NULL ? "" : " (",
        user == NULL ? "" : user->pw_name, user == NULL ? "" : ")");
}

bool ask_socket_fails(const char *path, const char *where, struct err *e)
{
    int why = try_connect(path);
    struct stat st;

    switch (why) {
    case EACCES:
    case EPERM:
        return forbidden(path, where, why, e);
    case ENOENT:
        return err_set(e,
                       "no server answers at %s: there is no such socket; start the "
                       "server, or %s",
                       where, OTHERS);
    case EAGAIN:
        return err_set(e,
                       "%s takes no connection: the server is stopped, hangs or is "
                       "overloaded; look at its process (ps -o pid,stat,wchan,cmd)",
                       where);
    case ECONNREFUSED:
        if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
            return err_set(e, "no server answers at %s: this is not a socket; %s",
                           where, OTHERS);
        }
        return err_set(e,
                       "no server answers at %s: the one that made the socket has "
                       "ended; start it, or %s",
                       where, OTHERS);
    default:
        return err_set(e, "no server answers at %s: %s; %s", where,
                       why == 0 ? "it did not take a connection" : strerror(why),
                       OTHERS);
    }
}
