/*
 * policies - the policies of a folder, checked. Problems go to standard error as
 * `sluice check` shows them.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

/* A file is a policy when it has a route and no other policy of the folder
 * requires it. True: all are good. */
bool policies_check(const char *dir) MUST_USE;

/* Calls fn with the path of each policy of the folder, by name. False and errno: it can't
 * be read. */
bool policies_each(const char *dir, void (*fn)(void *arg, const char *path),
                   void *arg) MUST_USE;

bool policies_check_file(const char *path) MUST_USE;
