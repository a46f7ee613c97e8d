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
struct server;

struct sandbox {
    bool syscalls; /* seccomp holds it to those of process/syscalls.c */
    int folders;   /* Landlock's version; 0: not in use */
    char why[256]; /* what is not in use, and the reason; "": nothing */
};

/* False and *e: the policy requires what the kernel does not have. */
bool sandbox_enter(struct server *s, struct sandbox *out, struct err *e) MUST_USE;
