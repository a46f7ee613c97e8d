#include "server/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "net/tls_tickets.h"
#include "process/usable.h"
#include "server/internal.h"
#include "server/upgrade/place.h"

void process_begin(struct process *p)
{
    *p = (struct process){
        .launcher = p->launcher, .core_dumps = true, .tickets = tls_tickets_new()};
    notify_open(&p->notify);
}

void process_forget(struct process *p)
{
    tls_tickets_unref(p->tickets);
    p->tickets = NULL;
}

static bool is_absent(const char *path)
{
    struct stat st;

    return lstat(path, &st) != 0 && errno == ENOENT;
}

void process_look(struct process *p, const char *data_dir, const char *tables_dir)
{
    if (!p->entered) {
        p->makes_data = is_absent(data_dir);
        p->makes_tables = is_absent(tables_dir);
    }
}

bool process_changes_user(const struct policy *policy)
{
    return policy_plan(policy)->server.user != NULL && geteuid() == 0;
}

/* ---- what the user will need ---- */

/* A folder, and the files in it, that this process has made as root. */
static bool hand_over(const char *dir, const struct user *id, struct err *e)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *x;
    bool ok = list != NULL && fchown(fd, id->uid, id->gid) == 0;

    while (ok && (x = readdir(list)) != NULL) {
        ok = x->d_type != DT_REG ||
             fchownat(fd, x->d_name, id->uid, id->gid, AT_SYMLINK_NOFOLLOW) == 0;
    }
    if (!ok) {
        (void)err_errno(e, errno, "can't give %s to user \"%s\"", dir, id->name);
    }
    if (list != NULL) {
        (void)closedir(list);
    } else if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

/* Folders that were there keep their owners. */
static bool make_folders(const struct server *s, const struct user *id, struct err *e)
{
    const struct process *p = s->process;
    const char *dir = s->conf.data_dir;

    if (p->makes_data) {
        if (mkdir(dir, 0750) != 0 && errno != EEXIST) {
            return err_errno(e, errno, "can't make the data directory %s", dir);
        }
        if (!hand_over(dir, id, e)) {
            return false;
        }
    }
    return !p->makes_tables || is_absent(s->tables_dir) ||
           hand_over(s->tables_dir, id, e);
}

static void below_data(const struct server *s, const char *name, char path[PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, name[0] == '/' ? "%.0s%s" : "%s/%s",
                   s->conf.data_dir, name);
}

static bool is_usable(const struct server *s, struct err *e)
{
    const struct plan *plan = policy_plan(s->policy);
    char path[PATH_MAX];

    below_data(s, plan->spool.dir, path);
    if (!usable_folder(s->conf.data_dir, e) || !usable_tree(path, NULL, e)) {
        return false;
    }
    below_data(s, "dead", path);
    if (!usable_tree(path, NULL, e) || !usable_tree(s->tables_dir, NULL, e)) {
        return false;
    }
    for (uint32_t i = 0; i < plan->n_sinks; i++) {
        if (plan->sinks[i].kind == SINK_KIND_FILE) {
            below_data(s, plan->sinks[i].dir, path);
            /* Finished files are only added to. */
            if (!usable_tree(path, ".part", e)) {
                return false;
            }
        }
    }
    return true;
}

/* A reload reads them again. */
static bool is_readable(const struct policy *policy, struct err *e)
{
    const char *path;

    for (uint32_t i = 0; (path = policy_file(policy, i)) != NULL; i++) {
        if (!usable_to_read(path, e)) {
            return false;
        }
    }
    for (uint32_t i = 0; (path = policy_secret_file(policy, i)) != NULL; i++) {
        if (!usable_to_read(path, e)) {
            return false;
        }
    }
    for (uint32_t i = 0; (path = policy_table_file(policy, i)) != NULL; i++) {
        if (!usable_to_read(path, e)) {
            return false;
        }
    }
    return true;
}

/* The launcher gives up what the process gives up, while it is still trusted. */
static void enter_launcher(struct server *s, const struct user *id)
{
    struct launcher *l = &s->process->launcher;
    struct err e;

    if (!sandbox_wanted(s)) {
        launcher_end(l);
    } else if (!launcher_enter(l, id, &e)) {
        launcher_end(l);
        (void)snprintf(l->why, sizeof l->why, "%s", e.text);
    }
}

static bool become(struct server *s, const char *user, struct err *e)
{
    struct user id;
    struct err why;

    if (!user_find(&id, user, e) || (geteuid() == 0 && !make_folders(s, &id, e))) {
        return false;
    }
    enter_launcher(s, &id);
    if (!user_become(&id, e)) {
        return false;
    }
    (void)snprintf(s->process->user, sizeof s->process->user, "%s", id.name);
    if (!is_usable(s, &why)) {
        return err_set(e,
                       "%s: give the data directory to server.user (chown -R %s %s); "
                       "sluice itself changes no owner",
                       why.text, id.name, s->conf.data_dir);
    }
    if (!is_readable(s->policy, &why)) {
        return err_set(
            e,
            "%s, so no reload would pass: let user \"%s\" read the policy and "
            "its files",
            why.text, id.name);
    }
    return true;
}

static void name_user(struct process *p)
{
    char text[4096];
    struct passwd entry, *found = NULL;

    if (getpwuid_r(geteuid(), &entry, text, sizeof text, &found) == 0 &&
        found != NULL) {
        (void)snprintf(p->user, sizeof p->user, "%s", found->pw_name);
    } else {
        (void)snprintf(p->user, sizeof p->user, "%u", (unsigned)geteuid());
    }
}

static void tell_entered(const struct process *p)
{
    char why[sizeof p->sandbox.why + 16], quoted[sizeof p->sandbox.why + 16] = "";

    if (p->sandbox.why[0] != '\0') {
        (void)snprintf(why, sizeof why, " why=%s",
                       log_quote(quoted, sizeof quoted, p->sandbox.why));
    } else {
        why[0] = '\0';
    }
    log_write(p->sandbox.why[0] == '\0' ? LOG_INFO : LOG_WARN, "process",
              "user=%s capabilities=%s core_dumps=%s seccomp=%s landlock=%s%s", p->user,
              user_has_capabilities() ? "kept" : "none", p->core_dumps ? "on" : "off",
              p->sandbox.syscalls ? "on" : "off", p->sandbox.folders > 0 ? "on" : "off",
              why);
}

bool process_enter(struct server *s, struct err *e)
{
    const struct server_plan *plan = &policy_plan(s->policy)->server;
    struct process *p = s->process;

    if (p->entered) {
        return true; /* a start that waited for room is tried again */
    }
    if (plan->user != NULL) {
        if (!become(s, plan->user, e)) {
            return false;
        }
    } else {
        name_user(p);
        enter_launcher(s, NULL);
        if (!user_no_new_privileges(e)) {
            return false;
        }
    }
    p->core_dumps = plan->core_dumps;
    user_allow_core_dumps(p->core_dumps);
    if (!sandbox_enter(s, &p->sandbox, e)) {
        return false;
    }
    p->entered = true;
    tell_entered(p);
    return true;
}

void process_upgrade_failed(struct process *p, const char *why)
{
    p->upgrades_failed++;
    (void)snprintf(p->upgrade_why, sizeof p->upgrade_why, "%s", why);
}

/* ---- the service manager ---- */

static void tell_ready(const struct server *s)
{
    char listen[LISTENINGS_TEXT];

    listenings_show(&s->listeners, listen, sizeof listen);
    (void)notify_send(&s->process->notify,
                      "READY=1\nSTATUS=Serving %s, policy generation %lu", listen,
                      (unsigned long)s->live->number);
}

void process_ready(struct server *s)
{
    if (s->place->joining) {
        return;
    }
    s->process->notify.silent = false;
    if (s->draining) {
        process_stopping(s->process);
    } else {
        tell_ready(s);
    }
}

void process_waits(const struct process *p, const char *why)
{
    (void)notify_send(&p->notify, "STATUS=The start waits: %s", why);
}

void process_reloading(const struct server *s)
{
    notify_reloading(&s->process->notify);
}

void process_reloaded(const struct server *s)
{
    tell_ready(s);
}

void process_stopping(const struct process *p)
{
    (void)notify_send(&p->notify, "STOPPING=1\nSTATUS=Draining");
}
