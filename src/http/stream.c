#include "http/stream.h"

#include <stdio.h>
#include <string.h>

#include "http/internal.h"

enum { HEAD_BYTES = 512 };

bool stream_begin(struct http_request *r, const char *headers)
{
    struct conn *c = r->c;
    char head[HEAD_BYTES];
    int n;

    if (c == NULL || c->first != r) {
        return false;
    }
    n = snprintf(head, sizeof head,
                 "HTTP/1.%d 200 OK\r\n%s%s%sConnection: close\r\n\r\n", r->old ? 0 : 1,
                 request_date(r->server), headers,
                 r->old ? "" : "Transfer-Encoding: chunked\r\n");
    buffer_grow(r->server, &c->out, &c->out_room, c->out_n + (size_t)n);
    memcpy(c->out + c->out_n, head, (size_t)n);
    c->out_n += (size_t)n;
    conn_dirty(c);
    return true;
}

bool stream_open(const struct http_request *r)
{
    return r->c != NULL && !r->c->eof && !r->c->dead;
}

bool stream_takes(const struct http_request *r, size_t n)
{
    return stream_open(r) && r->c->out_n + n <= STREAM_UNSENT;
}

static void put(struct conn *c, const char *p, size_t n)
{
    memcpy(c->out + c->out_n, p, n);
    c->out_n += n;
}

bool stream_put(struct http_request *r, struct str bytes)
{
    struct conn *c = r->c;
    char size[24];
    size_t n = (size_t)snprintf(size, sizeof size, "%zx\r\n", bytes.n);

    if (!stream_takes(r, bytes.n)) {
        return false;
    }
    buffer_grow(r->server, &c->out, &c->out_room, c->out_n + n + bytes.n + 2);
    if (!r->old) {
        put(c, size, n);
    }
    put(c, bytes.p, bytes.n);
    if (!r->old) {
        put(c, "\r\n", 2);
    }
    conn_dirty(c);
    return true;
}

void stream_end(struct http_request *r)
{
    static const char last[] = "0\r\n\r\n";
    struct conn *c = r->c;

    r->answered = true;
    r->close =
        true; /* not earlier: the socket is read so long, so that its end is seen */
    if (c == NULL) {
        request_put(r->server, r);
        return;
    }
    if (!r->old) {
        buffer_grow(r->server, &c->out, &c->out_room, c->out_n + sizeof last);
        put(c, last, sizeof last - 1);
    }
    request_advance(c);
}
