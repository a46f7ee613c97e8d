/*
 * refused_body - a route's own body for requests that sluice refuses as a whole
 * (answer.body_refused): the status, a code and a reason, as the protocol of the sender
 * wants them. Pure; any thread.
 */
#pragma once

#include <stddef.h>

#include "plan/plan.h"

/* The loader bounds the text to 1 KiB, and each value of it to two places. A message is
 * cut at 512 bytes, a code at 64; each byte may become six. */
enum { REFUSED_BODY_BYTES = 8192 };

/* A code of the sender's protocol instead of sluice's, or instead of a status. */
struct refused_code {
    struct str name; /* sluice's or a hook's code; n 0: of the status */
    int status;
    struct str word;
};

struct refused_body {
    struct fill_plan fill;
    const char *type_line; /* a whole line; "": JSON, which needs none */
    bool plain;            /* no JSON: values stand on one line without escapes */
    const struct refused_code *codes;
    uint32_t n_codes;
    struct str other; /* of all others; p NULL: sluice's code as it is */
};

struct refused_reason {
    int status;
    const char *code;
    const char *message; /* NULL: the code */
};

/* NULL: sluice answers as usual. route may be NULL. */
const struct refused_body *refused_body_of(const struct route *route);

/* Returns the length, of at most REFUSED_BODY_BYTES. out NULL: it is counted only. */
size_t refused_body_write(const struct refused_body *f,
                          const struct refused_reason *why, char *out);
