#include "http/parse.h"

#include <http_parser.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/chunked.h"
#include "http/head.h"
#include "http/headers.h"
#include "http/target.h"

/* The part of a request that comes next. */
enum part { HEAD, COUNTED, CHUNKS, WHOLE };

struct parse {
    http_parser hp;
    struct head head;
    struct chunked chunks;
    enum part part;
    uint64_t left; /* of a body whose length is known */
    const char *method, *why;
    const struct parse_ops *ops;
    void *arg;
    struct headers headers;
    uint32_t next_max_text;
    bool in_value; /* the last callback was a value */
    bool head_done, in_request, large;
    size_t head_from; /* in the bytes that were fed last, */
    bool head_new;    /* which have its first one */
};

static struct parse *of(http_parser *hp)
{
    return hp->data;
}

static bool put(struct parse *p, const char *at, size_t n)
{
    bool fits = headers_put(&p->headers, at, n);

    p->large |= !fits;
    return fits;
}

static int on_begin(http_parser *hp)
{
    struct parse *p = of(hp);

    headers_begin(&p->headers, p->next_max_text);
    p->in_value = false;
    p->in_request = true;
    return 0;
}

static int on_url(http_parser *hp, const char *at, size_t n)
{
    struct parse *p = of(hp);

    p->method = http_method_str((enum http_method)hp->method);
    if (!put(p, at, n)) {
        return 1;
    }
    p->headers.target_n += (uint32_t)n;
    return 0;
}

static int on_field(http_parser *hp, const char *at, size_t n)
{
    struct parse *p = of(hp);
    struct header_place *h;

    /* Only framing.c reads the meaning of headers: to http-parser they are all
     * alike. */
    hp->header_state = 0;
    if (p->headers.n == 0 || p->in_value) {
        if (p->headers.n == HEADERS_MAX) {
            p->large = true;
            return 1;
        }
        p->headers.list[p->headers.n++] =
            (struct header_place){.name = p->headers.text_n};
        p->in_value = false;
    }
    h = &p->headers.list[p->headers.n - 1];
    if (!put(p, at, n)) {
        return 1;
    }
    h->name_n += (uint32_t)n;
    return 0;
}

static int on_value(http_parser *hp, const char *at, size_t n)
{
    struct parse *p = of(hp);
    struct header_place *h;

    h = &p->headers.list[p->headers.n - 1];
    if (!p->in_value) {
        h->value = p->headers.text_n;
        p->in_value = true;
    }
    if (!put(p, at, n)) {
        return 1;
    }
    h->value_n += (uint32_t)n;
    return 0;
}

/* 1: http-parser leaves the body alone. No connection is upgraded: the request is
 * served as it is (RFC 9110, 7.8). */
static int on_head(http_parser *hp)
{
    of(hp)->head_done = true;
    hp->upgrade = 0;
    return 1;
}

static const http_parser_settings settings = {.on_message_begin = on_begin,
                                              .on_url = on_url,
                                              .on_header_field = on_field,
                                              .on_header_value = on_value,
                                              .on_headers_complete = on_head};

struct parse *parse_new(const struct parse_ops *ops, void *arg)
{
    struct parse *p = mem_zalloc(sizeof *p);

    p->ops = ops;
    headers_init(&p->headers);
    parse_reset(p, arg, PARSE_TEXT_MAX);
    return p;
}

void parse_free(struct parse *p)
{
    if (p != NULL) {
        headers_fini(&p->headers);
        free(p);
    }
}

static void next_head(struct parse *p)
{
    http_parser_init(&p->hp, HTTP_REQUEST);
    p->hp.data = p;
    head_reset(&p->head);
    p->part = HEAD;
    p->in_request = false;
    p->head_done = false;
}

void parse_limit(struct parse *p, uint32_t max_text)
{
    p->next_max_text = max_text;
}

void parse_reset(struct parse *p, void *arg, uint32_t max_text)
{
    next_head(p);
    p->arg = arg;
    headers_begin(&p->headers, max_text);
    p->next_max_text = max_text;
    p->large = false;
    p->method = p->why = "";
    parse_rest(p);
}

void parse_rest(struct parse *p)
{
    if (!p->in_request) {
        headers_rest(&p->headers);
    }
}

static enum parse_result bad(struct parse *p, const char *why)
{
    p->why = why;
    return PARSE_BAD;
}

/* http-parser's result on bytes that head.h let pass. */
static enum parse_result head_error(struct parse *p)
{
    enum http_errno e = HTTP_PARSER_ERRNO(&p->hp);

    return e == HPE_OK                ? PARSE_OK
           : e == HPE_HEADER_OVERFLOW ? PARSE_LARGE
           : e == HPE_INVALID_METHOD  ? PARSE_METHOD
           : p->large                 ? PARSE_LARGE
                                      : bad(p, http_errno_description(e));
}

static enum parse_result end_head(struct parse *p)
{
    struct str_pair headers[HEADERS_MAX];
    struct parse_head h = {.major = p->hp.http_major, .minor = p->hp.http_minor};

    headers_trim(&p->headers);
    h.framing =
        framing_of(headers, parse_headers(p, headers), h.major == 1 && h.minor == 0);
    p->left = h.framing.has_length ? h.framing.length : 0;
    p->part = h.framing.chunked ? CHUNKS : p->left > 0 ? COUNTED : WHOLE;
    chunked_reset(&p->chunks);
    h.sound_host =
        h.framing.n_hosts == 1 ? target_host(h.framing.host) : h.framing.n_hosts == 0;
    headers_merge(&p->headers); /* may move the texts */
    h.framing.host = (struct str){NULL, 0};
    p->method = http_method_str((enum http_method)p->hp.method);
    h.method = str_of(p->method);
    h.target = parse_target(p);
    return p->ops->on_head(p->arg, &h) ? PARSE_OK : PARSE_STOPPED;
}

static size_t feed_head(struct parse *p, const char *data, size_t n,
                        enum parse_result *r)
{
    enum head_result hr;
    size_t good = head_feed(&p->head, data, n, &hr), used;

    used = good == 0 || HTTP_PARSER_ERRNO(&p->hp) != HPE_OK
               ? 0
               : http_parser_execute(&p->hp, &settings, data, good);
    *r = head_error(p);
    if (*r == PARSE_METHOD && !head_has_method(&p->head)) {
        /* "hello" is no method unless a space ends it. */
        *r = hr == HEAD_BAD ? bad(p, head_why(&p->head)) : PARSE_OK;
        return good;
    }
    if (*r != PARSE_OK) {
        return used;
    }
    if (hr == HEAD_BAD) {
        *r = bad(p, head_why(&p->head));
    } else if (hr == HEAD_DONE) {
        *r = p->head_done ? end_head(p) : bad(p, "expected the end of the head");
    }
    return good;
}

static size_t feed_counted(struct parse *p, const char *data, size_t n,
                           enum parse_result *r)
{
    size_t take = n < p->left ? n : (size_t)p->left;

    p->left -= take;
    if (p->left == 0) {
        p->part = WHOLE;
    }
    *r = p->ops->on_part(p->arg, data, take) ? PARSE_OK : PARSE_STOPPED;
    return take;
}

static size_t feed_chunks(struct parse *p, const char *data, size_t n,
                          enum parse_result *r)
{
    enum chunked_result cr;
    struct str part;
    size_t used = chunked_feed(&p->chunks, data, n, &part, &cr);
    bool go_on = true;

    *r = PARSE_OK;
    switch (cr) {
    case CHUNKED_MORE:
        break;
    case CHUNKED_SIZE:
        go_on = p->ops->on_chunk(p->arg, p->chunks.left);
        break;
    case CHUNKED_PART:
        go_on = p->ops->on_part(p->arg, part.p, part.n);
        break;
    case CHUNKED_END:
        p->part = WHOLE;
        break;
    case CHUNKED_BAD:
        *r = bad(p, chunked_why(&p->chunks));
        break;
    case CHUNKED_LARGE:
        *r = PARSE_LARGE;
        break;
    }
    if (!go_on) {
        *r = PARSE_STOPPED;
    }
    return used;
}

size_t parse_feed(struct parse *p, const char *data, size_t n, enum parse_result *r)
{
    size_t used = 0;

    *r = PARSE_OK;
    p->head_from = 0;
    p->head_new = !p->in_request;
    while (*r == PARSE_OK && (used < n || p->part == WHOLE)) {
        switch (p->part) {
        case HEAD:
            used += feed_head(p, data + used, n - used, r);
            break;
        case COUNTED:
            used += feed_counted(p, data + used, n - used, r);
            break;
        case CHUNKS:
            used += feed_chunks(p, data + used, n - used, r);
            break;
        case WHOLE:
            next_head(p);
            p->head_from = used;
            p->head_new = true;
            if (!p->ops->on_whole(p->arg)) {
                *r = PARSE_STOPPED;
            }
            break;
        }
    }
    return used;
}

uint32_t parse_headers(const struct parse *p, struct str_pair out[HEADERS_MAX])
{
    return headers_list(&p->headers, out);
}

struct str parse_target(const struct parse *p)
{
    return (struct str){p->headers.text, p->headers.target_n};
}

const char *parse_method(const struct parse *p)
{
    return p->method;
}

bool parse_in_request(const struct parse *p)
{
    return p->in_request;
}

bool parse_head_from(const struct parse *p, size_t *from)
{
    *from = p->head_from;
    return p->head_new;
}

const struct chunked *parse_chunks(const struct parse *p)
{
    return p->part == CHUNKS ? &p->chunks : NULL;
}

const char *parse_why(const struct parse *p)
{
    return p->why;
}
