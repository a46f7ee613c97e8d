#include "plan/media.h"

#include <strings.h>

static bool is(struct str s, const char *z)
{
    return s.n == strlen(z) && strncasecmp(s.p, z, s.n) == 0;
}

/* The type without parameters and white space around it. */
static struct str essence(struct str s)
{
    const char *semi = s.n == 0 ? NULL : memchr(s.p, ';', s.n);

    if (semi != NULL) {
        s.n = (size_t)(semi - s.p);
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) {
        s.n--;
    }
    while (s.n > 0 && (*s.p == ' ' || *s.p == '\t')) {
        s.p++;
        s.n--;
    }
    return s;
}

static bool is_json(struct str s)
{
    static const struct str suffix = {"+json", 5};

    return is(s, "application/json") || is(s, "text/json") ||
           (s.n > 12 + suffix.n && strncasecmp(s.p, "application/", 12) == 0 &&
            strncasecmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

bool media_shape(const struct route *r, struct str content_type,
                 enum scan_shape *shape)
{
    struct str type = essence(content_type);

    if (type.n == 0 || is_json(type)) {
        *shape = r->body == BODY_EVENT ? SCAN_EVENT : SCAN_BATCH;
        return true;
    }
    if (r->body == BODY_BATCH &&
        (is(type, "application/x-ndjson") || is(type, "application/ndjson") ||
         is(type, "application/jsonl"))) {
        *shape = SCAN_NDJSON;
        return true;
    }
    return false;
}
