/*
 * folder - steps that a file's name needs to outlive a power cut. Any thread.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct err;

/* The names in the folder are on stable storage. */
bool folder_sync(const char *folder, struct err *e) MUST_USE;

/* The same for the folder that path lies in. */
bool folder_sync_of(const char *path, struct err *e) MUST_USE;

/* Whether a file or folder of that path is there: 1 or 0; -1 and errno: the disk does
 * not say. */
int path_there(const char *path) MUST_USE;

/* Makes the folder (an absolute path, or below the working directory) and those
 * above it; one that is there is fine. */
bool folder_make(const char *folder, struct err *e) MUST_USE;
