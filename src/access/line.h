/*
 * line - one line of the access log: what is known of a request, written as text or
 * JSON. Pure; any thread.
 *
 * Every byte of a client leaves through base/text.h: a line has no control character,
 * no broken UTF-8, and no quotation mark of a client that is not escaped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum {
    ACCESS_PATH_BYTES = 512, /* of path and query; the rest is cut */
    ACCESS_LINE_BYTES = 8192 /* the longest line, with its newline */
};

/* The facts of a request that its answer needs after its buffers are gone. */
struct access_entry {
    struct access_entry *next; /* the owner's */
    char client[48];           /* "": not known */
    char method[16];
    char trace[33]; /* 32 digits of traceparent; "": none */
    char key[64];   /* the accepted key's label, or its keys' name; "": none */
    char path[ACCESS_PATH_BYTES];
    uint16_t path_n;
    uint64_t bytes_in; /* of the body, as it came */
    bool sampled;      /* its line is wanted whatever the answer is */
};

/* What became of it. */
struct access_result {
    int64_t time_ms; /* of the answer, wall clock */
    const char *route;
    int status;
    const char *code;           /* "" : none */
    uint32_t accepted, refused; /* events */
    uint64_t bytes_out;         /* of the answer's body */
    uint64_t took_ns;
};

/* The trace id of a valid traceparent (W3C Trace Context), else "". */
void access_trace(struct str traceparent, char out[33]);

/* Cuts text into out (bytes big) and ends it with a NUL. */
void access_copy(char *out, size_t bytes, struct str text);

/* out has ACCESS_LINE_BYTES; returns the bytes written, the newline too. */
size_t access_format(bool json, const struct access_entry *e,
                     const struct access_result *r, char *out);
