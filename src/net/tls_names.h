/*
 * tls_names - which certificates serve which host name (SNI): names of certificates,
 * "a.example" or "*.a.example", each with a set of certificates.
 *
 *   tls_names_add* -> tls_names_sort -> tls_names_find* -> tls_names_fini
 *
 * After tls_names_sort nothing changes, and any thread may find.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { TLS_NAME_MAX = 253 };

struct tls_name {
    char *name;   /* in lower case, without a dot at the end */
    uint64_t set; /* bit i: certificate i of the listener */
};

struct tls_names {
    struct tls_name *list;
    size_t n, room;
};

/* The name as it is looked up: lower case, no dot at the end; false: it is no name of a
 * host that a certificate can have. out: TLS_NAME_MAX + 1 bytes. */
bool tls_names_fold(struct str name, char *out);

/* The entry of a folded name; NULL: it has none yet. */
struct tls_name *tls_names_entry(struct tls_names *t, const char *name);
void tls_names_add(struct tls_names *t, const char *name, uint64_t set);

void tls_names_sort(struct tls_names *t);

/* The set for a name that a client sent: its own, or that of the "*." above it; 0: no
 * certificate has it. */
uint64_t tls_names_find(const struct tls_names *t, const char *sent);
void tls_names_fini(struct tls_names *t);
