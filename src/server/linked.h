/*
 * linked - a file that the sandbox lets this process read, also after a deployment has
 * replaced it or one of the links on the way to it. Main thread.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "base/attr.h"

struct err;
struct landlock;

/* The folder that path lies in; "." and "/" as they are. */
void linked_folder(const char *path, char out[PATH_MAX]);

/* A file that may be replaced: by its folder, and by those of the links on the way, as many
 * as the kernel follows. NULL and "": there is none. */
bool linked_read(struct landlock *l, const char *path, struct err *e) MUST_USE;
