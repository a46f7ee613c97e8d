#include "access/line.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

/* At six bytes for each: they fit in a line, whatever they are. */
enum { ROUTE_BYTES = 256, CODE_BYTES = 64 };

struct out {
    char *at, *end;
    bool json;
    bool first;
};

void access_copy(char *out, size_t bytes, struct str text)
{
    size_t n = text.n < bytes - 1 ? text.n : bytes - 1;

    if (n > 0) {
        memcpy(out, text.p, n);
    }
    out[n] = '\0';
}

static bool is_hex(struct str s)
{
    bool some = false;

    for (size_t i = 0; i < s.n; i++) {
        bool digit = s.p[i] >= '0' && s.p[i] <= '9';

        if (!digit && !(s.p[i] >= 'a' && s.p[i] <= 'f')) {
            return false;
        }
        some |= s.p[i] != '0';
    }
    return some;
}

void access_trace(struct str t, char out[33])
{
    enum { WHOLE = 55 }; /* 2-32-16-2, and three dashes */
    struct str id, span;

    out[0] = '\0';
    if (t.n < WHOLE || t.p[2] != '-' || t.p[35] != '-' || t.p[52] != '-') {
        return;
    }
    id = (struct str){t.p + 3, 32};
    span = (struct str){t.p + 36, 16};
    /* Version ff is never valid; later versions may have more after a dash. */
    if (memcmp(t.p, "ff", 2) == 0 || !is_hex(id) || !is_hex(span) ||
        (t.n > WHOLE && (memcmp(t.p, "00", 2) == 0 || t.p[WHOLE] != '-'))) {
        return;
    }
    access_copy(out, 33, id);
}

static void put_z(struct out *o, const char *z)
{
    size_t n = strlen(z), room = (size_t)(o->end - o->at);

    n = n < room ? n : room;
    memcpy(o->at, z, n);
    o->at += n;
}

static void put_name(struct out *o, const char *name)
{
    if (o->json) {
        put_z(o, o->first ? "{\"" : ",\"");
        put_z(o, name);
        put_z(o, "\":");
    } else {
        put_z(o, o->first ? "" : " ");
        put_z(o, name);
        put_z(o, "=");
    }
    o->first = false;
}

static void put_text(struct out *o, const char *name, struct str s)
{
    put_name(o, name);
    put_z(o, "\"");
    o->at +=
        text_write(o->json ? TEXT_JSON : TEXT_LOG, s, o->at, (size_t)(o->end - o->at));
    put_z(o, "\"");
}

static void put_number(struct out *o, const char *name, uint64_t v)
{
    char digits[24];

    (void)snprintf(digits, sizeof digits, "%lu", (unsigned long)v);
    put_name(o, name);
    put_z(o, digits);
}

static void put_time(struct out *o, int64_t ms)
{
    char text[40];
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    size_t n;

    (void)gmtime_r(&s, &tm);
    n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text + n, sizeof text - n, ".%03dZ", (int)(ms % 1000));
    put_text(o, "time", str_of(text));
}

static struct str cut(const char *z, size_t max)
{
    struct str s = str_of(z);

    s.n = text_cut(s, max);
    return s;
}

size_t access_format(bool json, const struct access_entry *e,
                     const struct access_result *r, char *out)
{
    struct out o = {out, out + ACCESS_LINE_BYTES - 2, json, true};
    char seconds[32];

    put_time(&o, r->time_ms);
    put_text(&o, "client", str_of(e->client));
    put_text(&o, "method", str_of(e->method));
    put_text(&o, "path", (struct str){e->path, e->path_n});
    put_text(&o, "route", cut(r->route, ROUTE_BYTES));
    put_number(&o, "status", (uint64_t)r->status);
    put_text(&o, "code", cut(r->code, CODE_BYTES));
    put_number(&o, "accepted", r->accepted);
    put_number(&o, "refused", r->refused);
    put_number(&o, "bytes_in", e->bytes_in);
    put_number(&o, "bytes_out", r->bytes_out);
    (void)snprintf(seconds, sizeof seconds, "%.6f", (double)r->took_ns / 1e9);
    put_name(&o, "seconds");
    put_z(&o, seconds);
    put_text(&o, "trace", str_of(e->trace));
    put_text(&o, "key", str_of(e->key));
    if (json) {
        put_z(&o, "}");
    }
    *o.at++ = '\n';
    return (size_t)(o.at - out);
}
