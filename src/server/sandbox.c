#include "server/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "plan/access.h"
#include "process/landlock.h"
#include "process/syscalls.h"
#include "server/certificates.h"
#include "server/internal.h"
#include "server/linked.h"
#include "server/process.h"
#include "server/upgrade/place.h"

/* What libraries read while the server runs: names of machines, certificates, time zones,
 * modules that they load late, what the machine has. */
static const char *const system_folders[] = {"/etc",
                                             "/usr",
                                             "/lib",
                                             "/lib64",
                                             "/proc",
                                             "/sys",
                                             "/nix/store",
                                             "/gnu/store",
                                             "/dev/zero",
                                             "/dev/urandom",
                                             "/dev/random",
                                             "/run/systemd/resolve",
                                             "/run/resolvconf",
                                             "/run/NetworkManager",
                                             "/run/nscd",
                                             "/var/lib/ca-certificates"};

static bool read_policy(struct landlock *l, const struct server *s, struct err *e)
{
    const char *path;
    bool ok = linked_read(l, s->conf.policy_path, e);

    for (uint32_t i = 0; ok && (path = policy_file(s->policy, i)) != NULL; i++) {
        ok = linked_read(l, path, e);
    }
    for (uint32_t i = 0; ok && (path = policy_table_file(s->policy, i)) != NULL; i++) {
        ok = linked_read(l, path, e);
    }
    for (uint32_t i = 0; ok && (path = policy_secret_file(s->policy, i)) != NULL; i++) {
        ok = linked_read(l, path, e);
    }
    return ok;
}

/* librdkafka takes a path that is not absolute from the working directory. */
static bool is_path(const char *option, const char *value)
{
    const char *last = strrchr(option, '.');

    return value[0] == '/' ||
           (last != NULL &&
            (strcmp(last, ".location") == 0 || strcmp(last, ".file") == 0) &&
            strcmp(value, "probe") != 0);
}

/* Certificates and the like: each option of a sink that is a path, from 0; "": it is none;
 * NULL: there are no more. */
static const char *sink_file(const struct sink_plan *x, uint32_t i)
{
    const char *const own[] = {x->upload.ca, x->upload.cert, x->upload.key};
    const char *v;

    if (i < N_ELEMS(own)) {
        return own[i] == NULL ? "" : own[i];
    }
    i -= (uint32_t)N_ELEMS(own);
    if (i >= x->kafka.n_options) {
        return NULL;
    }
    v = x->kafka.options[i].value;
    return is_path(x->kafka.options[i].name, v) ? v : "";
}

static bool read_sink(struct landlock *l, const struct sink_plan *x, struct err *e)
{
    const char *path;
    bool ok = true;

    for (uint32_t i = 0; ok && (path = sink_file(x, i)) != NULL; i++) {
        ok = linked_read(l, path, e);
    }
    return ok;
}

/* Certificates are read again when their files change. */
static bool read_tls(struct landlock *l, const struct server *s, struct err *e)
{
    char *path;
    bool ok = true;

    for (uint32_t i = 0; ok && (path = certificates_file(s->policy, i)) != NULL; i++) {
        ok = linked_read(l, path, e);
        free(path);
    }
    return ok;
}

static void below_data(const struct server *s, const char *dir, char path[PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, dir[0] == '/' ? "%.0s%s" : "%s/%s", s->conf.data_dir,
                   dir);
}

/* Made now, when it is not there: later it can't be, outside of the data directory. */
static bool write_folder(struct landlock *l, const struct server *s, const char *dir,
                         struct err *e)
{
    char path[PATH_MAX];
    struct err ignored;

    below_data(s, dir, path);
    if (!folder_make(path, &ignored)) {
        return true; /* its sink or the spool says why */
    }
    return landlock_write(l, path, e);
}

/* A folder of the spool that an operator has put on another disk: where its link leads. A
 * process in the sandbox makes no links. */
static bool write_links(struct landlock *l, const struct server *s, const char *dir,
                        struct err *e)
{
    char folder[PATH_MAX], path[PATH_MAX];
    struct dirent *x;
    DIR *list;
    bool ok = true;

    below_data(s, dir, folder);
    list = opendir(folder);
    while (ok && list != NULL && (x = readdir(list)) != NULL) {
        if ((x->d_type == DT_LNK || x->d_type == DT_UNKNOWN) && x->d_name[0] != '.' &&
            snprintf(path, sizeof path, "%s/%s", folder, x->d_name) <
                (int)sizeof path) {
            ok = landlock_write(l, path, e);
        }
    }
    if (list != NULL) {
        (void)closedir(list);
    }
    return ok;
}

/* The dead letters and the tables may be links, too. */
static bool write_data(struct landlock *l, const struct server *s,
                       const struct plan *plan, struct err *e)
{
    char dead[PATH_MAX];

    below_data(s, "dead", dead);
    return folder_make(s->conf.data_dir, e) && landlock_write(l, s->conf.data_dir, e) &&
           write_folder(l, s, plan->spool.dir, e) &&
           write_links(l, s, plan->spool.dir, e) && landlock_write(l, dead, e) &&
           landlock_write(l, s->tables_dir, e);
}

/* "/dev/stdout" and other links: the file that they lead to, and no folder of devices. */
static bool write_access_log(struct landlock *l, const struct plan *plan, struct err *e)
{
    char folder[PATH_MAX];

    if (plan->access == NULL || plan->access->path[0] != '/') {
        return true;
    }
    linked_folder(plan->access->path, folder);
    return (strcmp(folder, "/") == 0 || strcmp(folder, "/dev") == 0 ||
            landlock_write(l, folder, e)) &&
           landlock_write(l, plan->access->path, e);
}

/* Whether the socket has that path: the process before could bind it there, so that it had
 * the right to write to the folder. */
static bool is_bound_to(int fd, const char *path)
{
    struct sockaddr_un sa = {0};
    socklen_t n = sizeof sa;

    return getsockname(fd, (struct sockaddr *)&sa, &n) == 0 && n < sizeof sa &&
           sa.sun_family == AF_UNIX && strcmp(sa.sun_path, path) == 0;
}

/* The files of sockets that the process before has left, and no listener wants. */
static bool remove_sockets(struct landlock *l, const struct place *p, struct err *e)
{
    char folder[PATH_MAX];
    bool ok = true;

    for (uint32_t i = 0; ok && i < p->n_sockets; i++) {
        const char *at =
            strstr(p->sockets[i].address, "unix:/"); /* maybe the admin's */

        if (at != NULL && is_bound_to(p->sockets[i].fd, at + 5)) {
            linked_folder(at + 5, folder);
            ok = landlock_remove(l, folder, e);
        }
    }
    return ok;
}

/* A socket's file is made and removed in its folder. */
static bool write_socket(struct landlock *l, const struct listening *x, struct err *e)
{
    char folder[PATH_MAX];

    if (strncmp(x->address, "unix:", 5) != 0) {
        return true;
    }
    linked_folder(x->address + 5, folder);
    return landlock_write(l, folder, e);
}

static bool allow_plan(struct landlock *l, const struct server *s, struct err *e)
{
    const struct plan *plan = policy_plan(s->policy);
    bool ok = write_data(l, s, plan, e);

    for (uint32_t i = 0; ok && i < plan->n_sinks; i++) {
        ok = read_sink(l, &plan->sinks[i], e) &&
             (plan->sinks[i].kind != SINK_KIND_FILE ||
              write_folder(l, s, plan->sinks[i].dir, e));
    }
    ok = ok && write_access_log(l, plan, e) && remove_sockets(l, s->place, e) &&
         read_tls(l, s, e) && write_socket(l, &s->admin_listener, e);
    for (uint32_t i = 0; ok && i < s->listeners.n; i++) {
        ok = write_socket(l, &s->listeners.list[i], e);
    }
    return ok;
}

/* Folders, as "a:b": SSL_CERT_DIR may be a list. */
static bool read_list(struct landlock *l, const char *list, struct err *e)
{
    char path[PATH_MAX];
    bool ok = true;

    for (const char *at = list; ok && *at != '\0'; at += *at == ':') {
        int n = (int)strcspn(at, ":");

        if (n > 1 && at[0] == '/' &&
            snprintf(path, sizeof path, "%.*s", n, at) < (int)sizeof path) {
            ok = landlock_read(l, path, e);
        }
        at += n;
    }
    return ok;
}

static bool allow_system(struct landlock *l, struct err *e)
{
    static const char *const variables[] = {"SSL_CERT_FILE", "SSL_CERT_DIR",
                                            "OPENSSL_CONF", "CREDENTIALS_DIRECTORY"};
    char target[PATH_MAX];
    bool ok = landlock_write(l, "/dev/null", e);

    for (size_t i = 0; ok && i < N_ELEMS(system_folders); i++) {
        ok = landlock_read(l, system_folders[i], e);
    }
    for (size_t i = 0; ok && i < N_ELEMS(variables); i++) {
        const char *v = getenv(variables[i]);

        ok = v == NULL || read_list(l, v, e);
    }
    return ok &&
           (realpath("/etc/resolv.conf", target) == NULL || linked_read(l, target, e));
}

static bool restrict_folders(struct server *s, struct sandbox *out, struct err *e)
{
    const struct notify *n = &s->process->notify;
    struct landlock l;
    int abi;

    if (!landlock_begin(&l, n->fd >= 0 && n->to.sun_path[0] == '\0', e)) {
        return false;
    }
    abi = l.abi;
    if (!read_policy(&l, s, e) || !allow_plan(&l, s, e) || !allow_system(&l, e)) {
        landlock_cancel(&l);
        return false;
    }
    if (!landlock_end(&l, e)) {
        return false;
    }
    out->folders = abi;
    return true;
}

/* A reason for which the sandbox can't be had, whatever the kernel has; NULL: none. */
static const char *conflict(const struct plan *plan)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)plan;
    return "this sluice is built with a sanitizer";
#else
    for (uint32_t i = 0; i < plan->n_sinks; i++) {
        for (uint32_t k = 0; k < plan->sinks[i].kafka.n_options; k++) {
            if (strcmp(plan->sinks[i].kafka.options[k].value, "GSSAPI") == 0) {
                return "a kafka sink uses GSSAPI, for which librdkafka runs kinit";
            }
        }
    }
    return NULL;
#endif
}

static void add_why(struct sandbox *out, const char *part, const char *why)
{
    size_t at = strlen(out->why);

    (void)snprintf(out->why + at, sizeof out->why - at, "%s%s: %s", at == 0 ? "" : "; ",
                   part, why);
}

/* access(2) would not ask Landlock. */
static bool is_denied(const char *path)
{
    int fd = path[0] == '\0' ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool denied = path[0] != '\0' && fd < 0 && errno == EACCES;

    if (fd >= 0) {
        (void)close(fd);
    }
    return denied;
}

bool sandbox_reaches(const struct server *s, const struct plan *next, struct err *e)
{
    const char *path;

    for (uint32_t i = 0; s->process->sandbox.folders > 0 && i < next->n_sinks; i++) {
        const struct sink_plan *x = &next->sinks[i];

        for (uint32_t k = 0; (path = sink_file(x, k)) != NULL; k++) {
            if (is_denied(path)) {
                return err_errno(e, EACCES, "sink \"%s\": can't read %s", x->name,
                                 path);
            }
        }
    }
    return true;
}

bool sandbox_wanted(const struct server *s)
{
    const struct plan *plan = policy_plan(s->policy);

    return plan->server.sandbox != SANDBOX_OFF && conflict(plan) == NULL;
}

bool sandbox_enter(struct server *s, struct sandbox *out, struct err *e)
{
    const struct plan *plan = policy_plan(s->policy);
    const char *why = conflict(plan);
    struct err x;

    *out = (struct sandbox){.folders = 0};
    if (plan->server.sandbox == SANDBOX_OFF) {
        return true;
    }
    if (why != NULL) {
        add_why(out, "sandbox", why);
    } else if (!s->process->launcher.entered) {
        add_why(out, "launcher", s->process->launcher.why);
    } else {
        if (!restrict_folders(s, out, &x)) {
            add_why(out, "landlock", x.text);
        }
        if (!user_keep_few_capabilities(&x)) {
            add_why(out, "capabilities", x.text);
        }
        out->syscalls = syscalls_restrict(&x);
        if (!out->syscalls) {
            add_why(out, "seccomp", x.text);
        }
    }
    return plan->server.sandbox != SANDBOX_REQUIRED || out->why[0] == '\0' ||
           err_set(e,
                   "server.sandbox is \"required\", but %s: use a newer kernel, or set "
                   "sandbox = \"auto\"",
                   out->why);
}
