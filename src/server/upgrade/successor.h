/*
 * successor - the process that is to take this one's place: the same command, with what
 * binary stands in its path by now.
 *
 *   successor_begin   it starts, loads the policy, and says that it is ready ── no ──┐
 *     │ sinks finish the batches in hand; requests go on                             │
 *     │ workers stop accepting, answer, hand their connections over                  │
 *   (the loop ends; stop_all closes the spool)                           goes on as it was
 *   successor_follow  the spool is free; it serves ── no ──► this process starts again
 *     │ the connections go over
 *   this process ends, or stays as the parent that its own parent waits for
 *
 * The main thread.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"
#include "server/upgrade/place.h"

struct err;
struct process;
struct server;
struct successor;

/* False and *e: one is on its way already, or this process ends, or the program can't
 * be started. */
bool successor_begin(struct server *s, const char *cause, struct err *e) MUST_USE;

/* The launcher was asked for the process, which runs as pid; 0: it does not, for that. */
void successor_launched(struct server *s, pid_t pid, const char *why);

/* Whether this process has said that it leaves: it takes no reload any more. */
bool successor_leaving(const struct server *s);

/* The server drains for another reason: the new process ends. Not once it leaves. */
void successor_drop(struct server *s);

/* A thread hangs and this process ends for that: the new one ends too, so that it does
 * not keep the spool from the one that this process's parent starts. */
void successor_forsake(struct server *s);

/* The same while it leaves: the new process goes on alone if somebody can be told that it
 * is the server now, and else ends. The code of this one. */
int successor_alone(struct server *s) MUST_USE;

/* It leaves, and is told to end: the new process is told so then. */
void successor_drains(struct server *s);

/* The launcher has ended: a new process that hangs could not be ended. Not once this one
 * leaves. */
void successor_unled(struct server *s);

/* A reload was asked for: the new process may have read the policy's file before it changed. */
void successor_reloads(struct server *s);
/* The file's policy went live: the new process has it, or reads it again. */
void successor_loaded(struct server *s);

/* After the loop, before stop_all: its sockets stay open, and its policy lives. */
void successor_leave(struct server *s);
/* After stop_all, when no worker is left that hands a connection over: all goes to p. */
void successor_take(struct server *s, struct place *p);

/* ---- follow.c ---- */

enum successor_result {
    SUCCESSOR_SERVES, /* this process may end with *code, as the server does */
    SUCCESSOR_FAILED  /* this one must serve again; p has the sockets and connections */
};

/* After stop_all, with SIGTERM, SIGINT, SIGHUP and SIGUSR2 blocked: those that come go to
 * the new process, whose end this one may wait for. Returns within two minutes unless it
 * does. */
enum successor_result successor_follow(struct place *p, struct process *process,
                                       int *code) MUST_USE;
