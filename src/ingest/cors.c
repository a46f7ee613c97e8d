#include "ingest/cors.h"

#include <stdio.h>

static bool allows(const struct cors_plan *c, struct str origin)
{
    if (origin.p == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < c->n_origins && !c->any; i++) {
        if (str_eq(origin, str_of(c->origins[i]))) {
            return true;
        }
    }
    return c->any;
}

void cors_answer(const struct cors_plan *c, struct str origin, char out[CORS_BYTES])
{
    out[0] = '\0';
    if (allows(c, origin)) {
        /* Origins that are let in one by one must not be mixed up by a cache. */
        (void)snprintf(out, CORS_BYTES,
                       "Access-Control-Allow-Origin: %.*s\r\n"
                       "Access-Control-Expose-Headers: Retry-After\r\n%s%s",
                       c->any ? 1 : (int)origin.n, c->any ? "*" : origin.p,
                       c->any ? "" : "Vary: Origin\r\n",
                       c->credentials ? "Access-Control-Allow-Credentials: true\r\n"
                                      : "");
    }
}

bool cors_preflight(const struct cors_plan *c, struct str origin, struct str method,
                    char out[CORS_BYTES])
{
    size_t n;

    cors_answer(c, origin, out);
    n = strlen(out);
    if (n == 0) {
        return false;
    }
    (void)snprintf(out + n, CORS_BYTES - n,
                   "Access-Control-Allow-Methods: %.*s\r\n"
                   "Access-Control-Allow-Headers: %s\r\n"
                   "Access-Control-Max-Age: %ld\r\n",
                   (int)method.n, method.p, c->headers, (long)c->max_age_s);
    return true;
}
