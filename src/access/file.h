/*
 * file - the access log on disk: appended to, rotated by size, opened again when another
 * process has moved or removed it.
 *
 *   access_file_open -> access_file_write* · access_file_look* -> access_file_close
 *
 * The writer's thread; each call may block as long as the disk does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

struct err;

struct access_file {
    char *path;         /* owned; NULL: none is wanted */
    uint64_t max_bytes; /* 0: it does not rotate by itself */
    uint32_t keep;      /* older files: path.1, path.2, … */
    int fd;             /* -1: not open */
    uint64_t bytes;
    bool regular; /* else a device or a pipe: others know it by its name */
    bool torn;    /* it ends within a line; dev and ino say which file that is */
    dev_t dev;
    ino_t ino;
    bool stalled;  /* its reader took nothing for a second, and nothing since */
    size_t stayed; /* bytes of a failed write that could not be taken back */
    int unmoved;   /* errno: it has its size and could not be renamed; 0 after a look */
    /* clock_mono_ns: no reader is waited for after it; 0, or no pointer: there is no hurry.
     * Another thread's. */
    const _Atomic uint64_t *until_ns;
};

/* Copies path. False and *e: it can't be opened; f tries again with each write. */
bool access_file_open(struct access_file *f, const char *path, uint64_t max_bytes,
                      uint32_t keep, struct err *e) MUST_USE;
/* The same for one that is or was open: the half of a line that it left is ended when the new
 * path leads to the same file. */
bool access_file_replace(struct access_file *f, const char *path, uint64_t max_bytes,
                         uint32_t keep, struct err *e) MUST_USE;
void access_file_close(struct access_file *f); /* once more is fine */

/* Whole lines, all of them or none. False and *e: none are in the file, but the first
 * `stayed` bytes: a pipe gives nothing back. Waits for the reader of a pipe as long as it takes
 * something each second, but not after *until_ns. */
bool access_file_write(struct access_file *f, const char *lines, size_t n,
                       struct err *e) MUST_USE;

/* Closes a file that has another name by now, or none; the next write opens it. Sees that
 * another process has cut it (copytruncate). */
void access_file_look(struct access_file *f);
/* The same whatever its name is. */
void access_file_reopen(struct access_file *f);
