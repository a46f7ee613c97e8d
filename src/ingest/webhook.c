#include "ingest/webhook.h"

#include <stdio.h>
#include <strings.h>

/* Names of the DNS, in any case. */
static bool welcome(const struct webhook_plan *w, struct str origin)
{
    for (uint32_t i = 0; i < w->n_origins && !w->any; i++) {
        if (strlen(w->origins[i]) == origin.n &&
            strncasecmp(w->origins[i], origin.p, origin.n) == 0) {
            return true;
        }
    }
    return w->any;
}

bool webhook_grant(const struct webhook_plan *w, const struct policy_request *req,
                   char out[CORS_BYTES])
{
    struct str origin =
        request_raw(req, "", REQUEST_HEADER, STR("webhook-request-origin"));
    char rate[16] = "*";

    if (origin.p == NULL || !welcome(w, origin)) {
        return false;
    }
    if (w->rate > 0) {
        (void)snprintf(rate, sizeof rate, "%u", w->rate);
    }
    (void)snprintf(out, CORS_BYTES,
                   "Allow: POST\r\n"
                   "WebHook-Allowed-Origin: %.*s\r\n"
                   "WebHook-Allowed-Rate: %s\r\n",
                   w->any ? 1 : (int)origin.n, w->any ? "*" : origin.p, rate);
    return true;
}
