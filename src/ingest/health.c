/* Whether this server should get events, for the load balancers that ask. */
#include <stdio.h>

#include "ingest/internal.h"

enum { READY_BELOW_PERCENT = 90 };

const char *ingest_why_unready(struct spool *spool, bool leaving)
{
    bool writable;
    unsigned used = spool_used_percent(spool, &writable);

    return leaving                       ? "draining"
           : !writable                   ? "the spool can't be written"
           : used >= READY_BELOW_PERCENT ? "the spool is nearly full"
                                         : NULL;
}

bool health_answer(struct ingest *in, struct http_request *r, const struct http_view *v,
                   const char *path)
{
    static const char plain[] = "Content-Type: text/plain; charset=utf-8\r\n";
    const char *why;
    char text[64];
    size_t n;

    if (!str_eq(v->path, str_of(path)) ||
        (!str_eq(v->method, STR("GET")) && !str_eq(v->method, STR("HEAD")))) {
        return false;
    }
    why = ingest_why_unready(
        in->conf.spool,
        in->draining || (in->conf.leaving != NULL && atomic_load(in->conf.leaving)));
    n = (size_t)snprintf(text, sizeof text, "%s\n", why == NULL ? "ok" : why);
    http_answer(r, why == NULL ? 200 : 503, plain, (struct str){text, n});
    traffic_count(account_traffic(in->m.nowhere), method_of(v->method),
                  why == NULL ? 200 : 503);
    return true;
}
