/*
 * sandbox - what the process can do from here on, as far as the kernel can hold it to
 * that: the system calls that it makes, and the folders that its policy names.
 *
 * Once, on the main thread, while it is the only one.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct err;
struct plan;
struct server;

struct sandbox {
    bool syscalls; /* seccomp holds it to those of process/syscalls.c */
    int folders;   /* Landlock's version; 0: not in use */
    char why[256]; /* what is not in use, and the reason; "": nothing */
};

/* Whether the policy wants one, and this build and the policy's sinks can live in it. */
bool sandbox_wanted(const struct server *s);

/* The launcher is there, or s->process->launcher.why says why it is not: a process that
 * could not be upgraded is not restricted. False and *e: the policy requires what the kernel does not have. */
bool sandbox_enter(struct server *s, struct sandbox *out, struct err *e) MUST_USE;

/* Whether a reload's sinks can read their certificates, which they do later. False and *e:
 * the first that can't. */
bool sandbox_reaches(const struct server *s, const struct plan *next,
                     struct err *e) MUST_USE;
