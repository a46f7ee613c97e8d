#include "process/user.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"

enum { TEXT_BYTES = 16384, NO_CAPABILITY = 64 };

static bool is_number(const char *text)
{
    size_t n = strspn(text, "0123456789");

    return n > 0 && n < 10 && text[n] == '\0';
}

bool user_find(struct user *id, const char *user, struct err *e)
{
    char text[TEXT_BYTES];
    struct passwd entry, *found = NULL;
    int rc = is_number(user) ? getpwuid_r((uid_t)strtoul(user, NULL, 10), &entry, text,
                                          sizeof text, &found)
                             : getpwnam_r(user, &entry, text, sizeof text, &found);

    if (found == NULL) {
        return rc != 0
                   ? err_errno(e, rc, "server.user: can't look up \"%s\"", user)
                   : err_set(e,
                             "server.user: this system has no user \"%s\": create it "
                             "(useradd --system %s), or take user out of the policy",
                             user, user);
    }
    if (found->pw_uid == 0) {
        return err_set(e, "server.user: \"%s\" is root; expected a user without rights",
                       user);
    }
    (void)snprintf(id->name, sizeof id->name, "%s", found->pw_name);
    id->uid = found->pw_uid;
    id->gid = found->pw_gid;
    id->n_groups = USER_GROUPS_MAX;
    if (getgrouplist(found->pw_name, id->gid, id->groups, &id->n_groups) < 0) {
        return err_set(e, "server.user: \"%s\" is in more than %d groups", user,
                       USER_GROUPS_MAX);
    }
    return true;
}

/* ---- capabilities: by system call, as libc has none of these ---- */

struct capabilities {
    struct __user_cap_header_struct head;
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
};

static bool read_capabilities(struct capabilities *c)
{
    *c = (struct capabilities){.head = {.version = _LINUX_CAPABILITY_VERSION_3}};
    return syscall(SYS_capget, &c->head, c->sets) == 0;
}

static bool empty_capabilities(void)
{
    struct capabilities c = {.head = {.version = _LINUX_CAPABILITY_VERSION_3}};

    if (!user_has_capabilities()) {
        return true; /* a service manager's filter may forbid the call */
    }
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &c.head, c.sets) == 0;
}

/* For files of others, ports of root, and blocks of a disk that are root's. */
static const uint32_t KEPT = 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE |
                             1u << CAP_DAC_READ_SEARCH | 1u << CAP_FOWNER |
                             1u << CAP_FSETID | 1u << CAP_NET_BIND_SERVICE |
                             1u << CAP_SYS_RESOURCE;

bool user_keep_few_capabilities(struct err *e)
{
    struct capabilities c, before;
    bool ok = read_capabilities(&c);

    before = c;
    for (size_t i = 0; ok && i < N_ELEMS(c.sets); i++) {
        const uint32_t kept = i == 0 ? KEPT : 0;

        c.sets[i].effective &= kept;
        c.sets[i].permitted &= kept;
        c.sets[i].inheritable &= kept;
    }
    if (ok && memcmp(c.sets, before.sets, sizeof c.sets) == 0) {
        return true; /* a service manager's filter may forbid the call */
    }
    return (ok && syscall(SYS_capset, &c.head, c.sets) == 0) ||
           err_errno(e, errno, "can't give up capabilities");
}

/* Those that a program with file capabilities or of root could get. Needs CAP_SETPCAP:
 * a process without it keeps the set, of which no_new_privs lets it use nothing. */
static void empty_bounding_set(void)
{
    for (unsigned long i = 0; i < NO_CAPABILITY; i++) {
        (void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
    }
}

bool user_has_capabilities(void)
{
    struct capabilities c;

    return !read_capabilities(&c) ||
           (c.sets[0].permitted | c.sets[1].permitted | c.sets[0].effective |
            c.sets[1].effective | c.sets[0].inheritable | c.sets[1].inheritable) != 0;
}

/* ---- */

static bool is_all(const struct user *id)
{
    uid_t r, ef, s;
    gid_t gr, ge, gs;

    return getresuid(&r, &ef, &s) == 0 && r == id->uid && ef == id->uid &&
           s == id->uid && getresgid(&gr, &ge, &gs) == 0 && gr == id->gid &&
           ge == id->gid && gs == id->gid;
}

static bool change_user(const struct user *id, struct err *e)
{
    if (setgroups((size_t)id->n_groups, id->groups) != 0 ||
        setresgid(id->gid, id->gid, id->gid) != 0 ||
        setresuid(id->uid, id->uid, id->uid) != 0) {
        return err_errno(e, errno, "server.user: can't become user \"%s\"", id->name);
    }
    return true;
}

bool user_no_new_privileges(struct err *e)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return err_errno(e, errno, "can't set no_new_privs");
    }
    return true;
}

bool user_become(const struct user *id, struct err *e)
{
    if (geteuid() == 0) {
        empty_bounding_set();
        if (!change_user(id, e)) {
            return false;
        }
    } else if (geteuid() != id->uid) {
        return err_set(e,
                       "server.user: sluice runs as user %u and can't become \"%s\": "
                       "start it as root or as that user, or take user out of the "
                       "policy",
                       (unsigned)geteuid(), id->name);
    }
    if (!user_no_new_privileges(e)) {
        return false;
    }
    if (!empty_capabilities()) {
        return err_errno(e, errno, "can't give up capabilities");
    }
    if (user_has_capabilities() || !is_all(id) || setuid(0) == 0) {
        return err_set(e,
                       "server.user: the rights of root are still there after the "
                       "change to user \"%s\"",
                       id->name);
    }
    return true;
}

void user_allow_core_dumps(bool allow)
{
    const struct rlimit none = {0, 0};

#ifdef __SANITIZE_ADDRESS__
    allow = true; /* LeakSanitizer attaches to the process at its end */
#endif
    if (!allow) {
        /* A helper that the system pipes cores to gets them in spite of the limit. */
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        (void)setrlimit(RLIMIT_CORE, &none);
    }
}
