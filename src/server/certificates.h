/*
 * certificates - the TLS of a policy's listeners, read from the files that it names.
 *
 *   certificates_read -> certificates_take* -> certificates_free
 *
 * Any thread; reading may block while the disk does.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "plan/plan.h"

struct err;
struct policy;
struct policy_report;
struct tls_context;
struct tls_tickets;

/* The places of listeners: those of clients, as in the plan, and the admin listener's. */
enum { CERTIFICATES_ADMIN = PLAN_LISTENERS_MAX, CERTIFICATES_PLACES };

struct certificates {
    struct tls_context *contexts[CERTIFICATES_PLACES]; /* by place; NULL: plain */
    uint64_t stamps[CERTIFICATES_PLACES]; /* of the files, before they were read */
};

/* The TLS of the listener at a place; NULL: it has none, or there is no such listener. */
const struct tls_plan *certificates_plan(const struct plan *p, uint32_t place);
/* Its name in metrics and in the log. */
const char *certificates_name(const struct plan *p, uint32_t place);

/* Those of all listeners; false: *e names listener, file and mistake, and there is
 * nothing to free. tickets may be NULL: for a check. */
bool certificates_read(struct certificates *c, const struct policy *p,
                       struct tls_tickets *tickets, struct err *e) MUST_USE;
void certificates_free(struct certificates *c);

/* File n of all listeners' TLS, as it is opened; to be freed. NULL: there are fewer. */
char *certificates_file(const struct policy *p, uint32_t n) MUST_USE;

/* That of one listener with TLS; NULL and *e. */
struct tls_context *certificates_context(const struct policy *p, uint32_t place,
                                         struct tls_tickets *tickets,
                                         struct err *e) MUST_USE;

/* Another number when one of the listener's files is another one, was written, has gone,
 * or has other rights. */
uint64_t certificates_stamp(const struct policy *p, uint32_t place);

/* Certificates that are not valid now, as notes of a clean report. */
void certificates_note(const struct certificates *c, const struct policy *p,
                       struct policy_report *report);
