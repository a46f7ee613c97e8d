/* The beginning of a request, once more: bytes that bring another server to where this
 * one is. Of a head that has come in part they are kept, as they came; a whole head and
 * the body behind it are written anew. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "http/chunked.h"
#include "http/internal.h"

void begun_drop(struct conn *c)
{
    buffer_free(c->server, &c->begun, &c->begun_room);
    c->begun_n = 0;
    c->begun_lost = false;
}

void begun_keep(struct conn *c, const char *p, size_t n)
{
    struct http_server *s = c->server;
    size_t from;

    if (parse_head_from(c->parse, &from)) {
        c->begun_n = 0;
        c->begun_lost = false;
    }
    if (c->begun_lost || from >= n) {
        return;
    }
    n -= from;
    if (c->begun_n + n > c->begun_room &&
        s->buffered + c->begun_room + n > s->limits.max_buffered) {
        begun_drop(c);
        c->begun_lost = true;
        return;
    }
    buffer_grow(s, &c->begun, &c->begun_room, c->begun_n + n);
    memcpy(c->begun + c->begun_n, p + from, n);
    c->begun_n += n;
}

bool begun_is_known(const struct conn *c)
{
    struct str taken;

    if (!preface_taken(c, &taken)) {
        return false;
    }
    return c->current != NULL ? !c->current->answered
                              : !parse_in_request(c->parse) || !c->begun_lost;
}

/* Text that grows. */
struct copy {
    char *p;
    size_t n, room;
};

static void put(struct copy *x, const char *p, size_t n)
{
    if (n == 0) {
        return;
    }
    if (x->n + n > x->room) {
        x->room = 2 * (x->n + n);
        x->p = mem_realloc(x->p, x->room);
    }
    memcpy(x->p + x->n, p, n);
    x->n += n;
}

static void put_z(struct copy *x, const char *z)
{
    put(x, z, strlen(z));
}

/* A client that waits for 100 Continue has had it. */
static bool is_expect(struct str name)
{
    return name.n == 6 && strncasecmp(name.p, "expect", 6) == 0;
}

static void put_head(struct copy *x, const struct conn *c)
{
    struct str_pair headers[PARSE_HEADERS_MAX];
    uint32_t n = parse_headers(c->parse, headers);
    struct str target = parse_target(c->parse);

    put_z(x, parse_method(c->parse));
    put_z(x, " ");
    put(x, target.p, target.n);
    put_z(x, c->current->old ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
    for (uint32_t i = 0; i < n; i++) {
        if (!is_expect(headers[i].name)) {
            put(x, headers[i].name.p, headers[i].name.n);
            put_z(x, ": ");
            put(x, headers[i].value.p, headers[i].value.n);
            put_z(x, "\r\n");
        }
    }
    put_z(x, "\r\n");
}

static void put_request(struct copy *x, const struct conn *c)
{
    const struct chunked *chunks = parse_chunks(c->parse);
    char before[CHUNKED_AGAIN] = "", after[CHUNKED_AGAIN] = "";

    put_head(x, c);
    if (chunks != NULL) {
        chunked_again(chunks, c->body_n, before, after);
    }
    put_z(x, before);
    put(x, c->body, c->body_n);
    put_z(x, after);
}

char *begun_text(const struct conn *c, size_t n, size_t *size)
{
    struct copy x = {.n = n};
    struct str taken;

    if (preface_taken(c, &taken) && taken.n > 0) {
        put(&x, taken.p, taken.n);
    } else if (c->current != NULL) {
        put_request(&x, c);
    } else if (parse_in_request(c->parse)) {
        put(&x, c->begun, c->begun_n);
    }
    put(&x, c->unparsed, c->unparsed_n);
    *size = x.n;
    return x.p;
}
