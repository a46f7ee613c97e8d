#include "ingest/coding.h"

#include <stdio.h>

#include "http/encoding.h"

enum { WORD_BYTES_MAX = 32, SHOWN_BYTES = 20 };

/* The words of queries: those of Content-Encoding and of two products. */
static bool word_of(struct str raw, enum http_encoding *how)
{
    char text[WORD_BYTES_MAX];
    struct str word = {text, 0};

    if (raw.n > sizeof text || !request_decode(REQUEST_ARG, raw, text, &word.n)) {
        return false;
    }
    if (word.n == 0 || str_eq(word, STR("none"))) {
        *how = HTTP_IDENTITY;
        return true;
    }
    if (str_eq(word, STR("gzip-js"))) {
        *how = HTTP_GZIP;
        return true;
    }
    return encoding_of(word, how);
}

bool coding_of(const struct route *route, enum scan_shape shape,
               const struct policy_request *q, enum http_encoding sent,
               enum http_encoding *how, struct refused *no)
{
    struct str raw;

    *how = sent;
    if (route->encoding != ENCODING_BY_HEADER && shape == SCAN_QUERY) {
        *how = HTTP_IDENTITY;
        return true;
    }
    if (route->encoding == ENCODING_BY_CONTENT) {
        *how = encoding_detected(sent);
    }
    if (route->encoding != ENCODING_BY_QUERY) {
        return true;
    }
    raw = request_raw(q, route->path, REQUEST_ARG, route->encoding_arg);
    if (raw.p == NULL || word_of(raw, how)) {
        return true;
    }
    *no = (struct refused){.status = 415};
    (void)snprintf(no->text, sizeof no->text,
                   "%.*s=%.*s: expected gzip, gzip-js, deflate, br, zstd or none",
                   (int)route->encoding_arg.n, route->encoding_arg.p,
                   (int)(raw.n < SHOWN_BYTES ? raw.n : SHOWN_BYTES), raw.p);
    no->error = (struct answer_error){.error = "Unsupported encoding",
                                      .code = "unsupported_encoding",
                                      .detail = no->text,
                                      .offset = -1,
                                      .limit = -1};
    return false;
}
