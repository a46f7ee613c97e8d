/*
 * landlock - the folders that this process may use from now on; it can't open any other
 * file, whoever it runs as.
 *
 *   landlock_begin -> landlock_read* landlock_write* -> landlock_end
 *
 * The main thread, while it is the only one: the kernel keeps rules by thread, and new
 * threads inherit them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;

struct landlock {
    int fd;
    int abi; /* of the kernel; 0: it has none that can be used */
    uint64_t handled;
};

/* The kernel's version of it; 0 and *e: none that can be used. */
int landlock_abi(struct err *e);

/* abstract: an abstract Unix socket of another process is in use (the service manager's). */
bool landlock_begin(struct landlock *l, bool abstract, struct err *e) MUST_USE;

/* path and what lies below it. One that is not there is fine, and so is a pipe or socket
 * (/dev/stdout): Landlock does not hold them back. */
bool landlock_read(struct landlock *l, const char *path, struct err *e) MUST_USE;
bool landlock_write(struct landlock *l, const char *path, struct err *e) MUST_USE;
/* Only the removal of files in that folder. */
bool landlock_remove(struct landlock *l, const char *folder, struct err *e) MUST_USE;

/* They hold from now on. It lets go of l, also when it fails. */
bool landlock_end(struct landlock *l, struct err *e) MUST_USE;
void landlock_cancel(struct landlock *l);
