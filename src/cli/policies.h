/*
 * policies - the policies of a folder, checked. Problems go to standard error as
 * `sluice check` shows them.
 *
 * A file of the folder is a policy when it, or a file that it takes in, has a route, and no
 * other policy of the folder takes it in. That holds too for policies that have mistakes: what
 * their text says is followed then.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

/* True: all are good. */
bool policies_check(const char *dir) MUST_USE;

/* Calls fn with the path of each policy of the folder, by name. False and errno: it can't
 * be read. */
bool policies_each(const char *dir, void (*fn)(void *arg, const char *path),
                   void *arg) MUST_USE;

bool policies_check_file(const char *path) MUST_USE;
