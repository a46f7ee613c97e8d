/*
 * user - the user that this process runs as, and what it may do beside that.
 *
 *   user_find -> (bind, open what only root may) -> user_become
 *
 * The main thread, while it is the only one: Linux keeps capabilities by thread, and
 * new threads inherit them.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"

struct err;

enum { USER_GROUPS_MAX = 256, USER_NAME_BYTES = 64 };

struct user {
    char name[USER_NAME_BYTES];
    uid_t uid;
    gid_t gid;
    gid_t groups[USER_GROUPS_MAX]; /* those of the user, gid among them */
    int n_groups;
};

/* The user of that name, or number, in the system's list. False and *e: there is none, or
 * it is root. */
bool user_find(struct user *id, const char *user, struct err *e) MUST_USE;

/* The process is that user from now on, without a way back: all three user and group
 * ids, the groups, no capability in any set, and no program that it starts can get more
 * rights. False and *e: it must not go on. Also when it runs as that user already;
 * as another one, it can't. */
bool user_become(const struct user *id, struct err *e) MUST_USE;

/* No program that this process starts can get more rights than it has. */
bool user_no_new_privileges(struct err *e) MUST_USE;

/* Of root's capabilities only those for files, ports below 1024 and limits: the others look
 * into other processes, or change the system. */
bool user_keep_few_capabilities(struct err *e) MUST_USE;

/* No core file of this process, and no other process of the same user may look into its
 * memory; or as the system has it. */
void user_allow_core_dumps(bool allow);

/* Whether any capability is in effect now: root's own, or one that the service manager
 * gave. */
bool user_has_capabilities(void);
