/*
 * launcher - a small process beside the server that does the two things which the sandbox
 * takes from the server, and nothing else: it starts this program once more, and signals
 * the process that it started last.
 *
 *   launcher_begin ── fork ──► launching_serve: waits for requests
 *     │ (the policy is loaded)
 *   launcher_enter    it becomes the server's user
 *     │ (the sandbox)
 *   launcher_ask ─► launcher_hear* ─► launcher_signal*
 *   launcher_end      it ends, as it does when the server ends in any way
 *
 * It is made before a policy is read, so that its memory has no secret but the environment;
 * it keeps no descriptor but standard input, output and error. Command and environment are
 * those of that time: no request can name others. What it starts is a child of the server
 * (CLONE_PARENT), so that the server learns of its end as of any child's.
 *
 * The server may be taken over: whatever it sends that is no request of this form ends the
 * launcher. The main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "process/user.h"

struct err;

enum { LAUNCHER_WHY_BYTES = 160 };

struct launcher {
    int fd;       /* to it; -1: there is none */
    pid_t pid;    /* a child of this process */
    bool entered; /* it can start processes */
    bool asked;   /* to start a process, and has not answered */
    bool lost;    /* it could; why says why it can't any more */
    char why[LAUNCHER_WHY_BYTES];
};

/* note: the word of the environment by which the new process finds descriptor 3, which is
 * the one that launcher_ask gives it. No other thread runs. */
void launcher_begin(struct launcher *l, const char *note);

/* It becomes that user (NULL: stays the one that it is), and gets no new privileges. Once.
 * False and *e: it can't do its work, and has ended. */
bool launcher_enter(struct launcher *l, const struct user *id, struct err *e) MUST_USE;

/* Asks it to start the program with fd, which stays the caller's. At most one that it has
 * started may live. Never blocks. False and *e: nothing runs, and the launcher is lost. */
bool launcher_ask(struct launcher *l, int fd, struct err *e) MUST_USE;

enum launcher_heard {
    LAUNCHER_NOTHING = 0, /* it has not answered; fd can be read when it has */
    LAUNCHER_STARTED,     /* *pid runs */
    LAUNCHER_FAILED       /* *e; nothing runs, or the launcher is lost */
};

/* After launcher_ask; never blocks. */
enum launcher_heard launcher_hear(struct launcher *l, pid_t *pid,
                                  struct err *e) MUST_USE;

/* It has not answered for LAUNCHER_MS: it is lost, and *e says so. */
void launcher_late(struct launcher *l, struct err *e);

/* SIGHUP, SIGINT, SIGTERM, SIGUSR2 or SIGKILL, for the last one that it has started. May block
 * for LAUNCHER_SIGNAL_MS. False: that has ended, or the launcher is lost. */
bool launcher_signal(struct launcher *l, int number);

/* Whether it is lost: it has ended (killed, by a person or for memory), or did not answer.
 * fd can be read then, and stays open until launcher_end. */
bool launcher_ended(struct launcher *l);

/* Waits a moment for its end. Fine without one. */
void launcher_end(struct launcher *l);

/* ---- launching.c: the process itself ---- */

enum { LAUNCHER_FORM = 0x51c0a001, LAUNCHER_MS = 10000, LAUNCHER_SIGNAL_MS = 2000 };

enum launcher_kind { LAUNCHER_ENTER = 1, LAUNCHER_START, LAUNCHER_SIGNAL };

/* One message each; only LAUNCHER_START has a descriptor, and has exactly one. */
struct launcher_request {
    uint32_t form, kind;
    uint32_t
        number; /* LAUNCHER_SIGNAL: of the signal; LAUNCHER_ENTER: 1, user counts */
    struct user user;
};

struct launcher_answer {
    uint32_t form;
    uint32_t failed; /* 1: for the reason why */
    int32_t pid;
    char why[LAUNCHER_WHY_BYTES];
};

/* Serves the process server until it ends or end is closed there. */
_Noreturn void launching_serve(int end, pid_t server, const char *note);
