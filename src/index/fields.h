/*
 * fields - the path of the ids in the events of each policy. The file index/FIELD has it:
 * a line with the path of now, a line for each policy, the newest last, and a checksum.
 *
 *   index_fields_read -> index_fields_note* -> index_fields_write
 *
 * A policy's hash says its path for good, so an event that no index file has yet is read
 * by the path of the policy that stored it, whatever process reads it. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "index/format.h"

struct err;

enum {
    INDEX_FIELDS_MAX = 64, /* policies; the oldest goes */
    INDEX_ESCAPED_MAX = 3 * INDEX_FIELD_MAX
};

struct index_fields {
    uint32_t n;
    struct {
        uint64_t policy8; /* first 8 bytes of the policy's hash; 0: not known */
        char path[INDEX_FIELD_MAX];
    } list[INDEX_FIELDS_MAX]; /* the path of now is the last */
};

/* The policy's path, which is that of now. */
void index_fields_note(struct index_fields *f, uint64_t policy8, const char *path);
/* NULL: the policy is not known. */
const char *index_fields_of(const struct index_fields *f, uint64_t policy8);

/* Of a file that is not there: none. Of one that is damaged, or of an older sluice: only
 * the path of now. Blocks while the disk does. */
void index_fields_read(struct index_fields *f, const char *file);
/* False and *e: the file is not there, or is as before. Blocks while the disk does. */
bool index_fields_write(const struct index_fields *f, const char *file,
                        struct err *e) MUST_USE;

/* A path may have any byte but NUL: as one that stands in a line; and back. False: it is
 * none that index_field_escape makes. */
void index_field_escape(char out[INDEX_ESCAPED_MAX], const char *path);
bool index_field_unescape(char out[INDEX_FIELD_MAX], const char *text) MUST_USE;
