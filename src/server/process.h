/*
 * process - the process as the system sees it: its user, its rights, what it tells the
 * service manager.
 *
 *   process_begin -> process_look -> (load, bind) -> process_enter -> process_ready
 *     -> (process_reloading -> process_reloaded)* -> process_stopping -> process_forget
 *
 * One of them, which outlives every try of the start. The main thread.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "process/launcher.h"
#include "process/notify.h"
#include "process/user.h"
#include "server/sandbox.h"

struct err;
struct policy;
struct server;
struct tls_tickets;

enum { PROCESS_WHY_BYTES = 512 };

struct process {
    struct notify notify;
    bool entered; /* user and rights are as they stay */
    char user[USER_NAME_BYTES];
    bool core_dumps;
    struct launcher launcher; /* in the sandbox: of the next process */
    struct sandbox sandbox;
    uint32_t upgrades_failed;            /* that this process has begun */
    char upgrade_why[PROCESS_WHY_BYTES]; /* the last one did; "": none */
    bool makes_data, makes_tables;       /* folders that root's load makes */
    struct tls_tickets *tickets; /* of all its starts, and of the process before */
};

/* After launch_prepare: the launcher must not have the keys. */
void process_begin(struct process *p);

void process_forget(struct process *p); /* wipes the keys: nothing is served any more */

/* Before the load, which may make these folders. */
void process_look(struct process *p, const char *data_dir, const char *tables_dir);

/* Whether the policy wants another user than the one that runs: sockets are bound first
 * then. */
bool process_changes_user(const struct policy *policy);

/* Gives up the rights that the process does not need, once. No other thread runs. False
 * and *e: it must not go on. */
bool process_enter(struct server *s, struct err *e) MUST_USE;

/* Another process did not come to take the place of this one. */
void process_upgrade_failed(struct process *p, const char *why);

/* Nothing while connections of the process before are still to come: the service manager
 * is told of this one before that, and passes over messages that come earlier. */
void process_ready(struct server *s);
void process_waits(const struct process *p, const char *why); /* for room on the disk */
void process_reloading(const struct server *s);
void process_reloaded(const struct server *s); /* or refused: the same goes on */
void process_stopping(const struct process *p);
