#include "http/parse.h"

#include <http_parser.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { TEXT_FIRST = 1024 };

/* Where a header's texts lie in text. */
struct place {
    uint16_t name, name_n, value, value_n;
};

struct parse {
    http_parser hp;
    const struct parse_ops *ops;
    void *arg;
    char *text;
    uint32_t text_n, text_room, max_text;
    uint32_t target_n; /* the target lies first in text */
    uint32_t n_headers;
    struct place headers[PARSE_HEADERS_MAX];
    bool in_value; /* the last callback was a value */
    bool head_done, in_request, large, stopped;
};

static struct parse *of(http_parser *hp)
{
    return hp->data;
}

static bool put(struct parse *p, const char *at, size_t n)
{
    if (n > p->max_text - p->text_n) {
        p->large = true;
        return false;
    }
    if (p->text_n + n > p->text_room) {
        while (p->text_n + n > p->text_room) {
            p->text_room *= 2;
        }
        p->text = mem_realloc(p->text, p->text_room);
    }
    memcpy(p->text + p->text_n, at, n);
    p->text_n += (uint32_t)n;
    return true;
}

static int on_begin(http_parser *hp)
{
    struct parse *p = of(hp);

    p->text_n = 0;
    p->target_n = 0;
    p->n_headers = 0;
    p->in_value = false;
    p->head_done = false;
    p->in_request = true;
    return 0;
}

static int on_url(http_parser *hp, const char *at, size_t n)
{
    struct parse *p = of(hp);

    p->target_n += (uint32_t)n;
    return put(p, at, n) ? 0 : 1;
}

static int on_field(http_parser *hp, const char *at, size_t n)
{
    struct parse *p = of(hp);
    struct place *h;

    if (p->head_done) {
        return 0; /* trailers are dropped */
    }
    if (p->n_headers == 0 || p->in_value) {
        if (p->n_headers == PARSE_HEADERS_MAX) {
            p->large = true;
            return 1;
        }
        p->headers[p->n_headers++] = (struct place){.name = (uint16_t)p->text_n};
        p->in_value = false;
    }
    h = &p->headers[p->n_headers - 1];
    h->name_n = (uint16_t)(h->name_n + n);
    return put(p, at, n) ? 0 : 1;
}

static int on_value(http_parser *hp, const char *at, size_t n)
{
    struct parse *p = of(hp);
    struct place *h;

    if (p->head_done || p->n_headers == 0) {
        return 0;
    }
    h = &p->headers[p->n_headers - 1];
    if (!p->in_value) {
        h->value = (uint16_t)p->text_n;
        p->in_value = true;
    }
    h->value_n = (uint16_t)(h->value_n + n);
    return put(p, at, n) ? 0 : 1;
}

/* Behind a callback that said stop. */
static int stop(struct parse *p, bool go_on)
{
    if (!go_on) {
        p->stopped = true;
        http_parser_pause(&p->hp, 1);
    }
    return 0;
}

static int on_head(http_parser *hp)
{
    struct parse *p = of(hp);
    struct parse_head h = {
        .method = str_of(parse_method(p)),
        .target = parse_target(p),
        .major = hp->http_major,
        .minor = hp->http_minor,
        .chunked = (hp->flags & F_CHUNKED) != 0,
        .keep_alive = http_should_keep_alive(hp) != 0,
        .has_length = (hp->flags & F_CONTENTLENGTH) != 0,
        .length = hp->content_length};

    p->head_done = true;
    /* Nobody is upgraded: the request is served as it is (RFC 9110, 7.8). */
    hp->upgrade = 0;
    return stop(p, p->ops->on_head(p->arg, &h));
}

static int on_part(http_parser *hp, const char *at, size_t n)
{
    struct parse *p = of(hp);

    return p->ops->on_part(p->arg, at, n) ? 0 : 1;
}

static int on_whole(http_parser *hp)
{
    struct parse *p = of(hp);

    p->in_request = false;
    return stop(p, p->ops->on_whole(p->arg));
}

static const http_parser_settings settings = {
    .on_message_begin = on_begin,
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
    .on_body = on_part,
    .on_message_complete = on_whole};

struct parse *parse_new(const struct parse_ops *ops, void *arg)
{
    struct parse *p = mem_zalloc(sizeof *p);

    p->ops = ops;
    p->text_room = TEXT_FIRST;
    p->text = mem_alloc(p->text_room);
    parse_reset(p, arg, PARSE_TEXT_MAX);
    return p;
}

void parse_free(struct parse *p)
{
    if (p != NULL) {
        free(p->text);
        free(p);
    }
}

void parse_reset(struct parse *p, void *arg, uint32_t max_text)
{
    http_parser_init(&p->hp, HTTP_REQUEST);
    p->hp.data = p;
    p->arg = arg;
    p->max_text = max_text;
    p->text_n = 0;
    p->in_request = false;
    p->head_done = false;
    p->large = false;
    p->stopped = false;
    parse_rest(p);
}

void parse_rest(struct parse *p)
{
    if (p->text_room > TEXT_FIRST && !p->in_request) {
        p->text_n = 0;
        p->target_n = 0;
        p->n_headers = 0;
        p->text_room = TEXT_FIRST;
        p->text = mem_realloc(p->text, p->text_room);
    }
}

/* "BREW /pot HTTP/1.1" has a method that we do not know; "\x16\x03\x01" is none
 * at all. */
static bool looks_like_method(const char *p, size_t n)
{
    size_t i = 0;

    while (i < n && i < 32 && p[i] >= 'A' && p[i] <= 'Z') {
        i++;
    }
    return i > 0 && i < n && p[i] == ' ';
}

size_t parse_feed(struct parse *p, const char *data, size_t n,
                  enum parse_result *r)
{
    bool fresh = !p->in_request;
    size_t used;

    p->stopped = false;
    if (HTTP_PARSER_ERRNO(&p->hp) == HPE_PAUSED) {
        http_parser_pause(&p->hp, 0);
    }
    used = http_parser_execute(&p->hp, &settings, data, n);
    switch (HTTP_PARSER_ERRNO(&p->hp)) {
    case HPE_OK:
        *r = PARSE_OK;
        break;
    case HPE_PAUSED:
        *r = PARSE_STOPPED;
        break;
    case HPE_CB_body:
        *r = PARSE_STOPPED;
        break;
    case HPE_HEADER_OVERFLOW:
        *r = PARSE_LARGE;
        break;
    case HPE_INVALID_METHOD:
        *r = fresh && looks_like_method(data, n) ? PARSE_METHOD : PARSE_BAD;
        break;
    default:
        *r = p->large ? PARSE_LARGE : PARSE_BAD;
    }
    return used;
}

uint32_t parse_headers(const struct parse *p,
                       struct str_pair out[PARSE_HEADERS_MAX])
{
    for (uint32_t i = 0; i < p->n_headers; i++) {
        const struct place *h = &p->headers[i];

        out[i].name = (struct str){p->text + h->name, h->name_n};
        out[i].value = (struct str){p->text + h->value, h->value_n};
        while (out[i].value.n > 0 &&
               (out[i].value.p[out[i].value.n - 1] == ' ' ||
                out[i].value.p[out[i].value.n - 1] == '\t')) {
            out[i].value.n--;
        }
    }
    return p->n_headers;
}

struct str parse_target(const struct parse *p)
{
    return (struct str){p->text, p->target_n};
}

const char *parse_method(const struct parse *p)
{
    return http_method_str((enum http_method)p->hp.method);
}

bool parse_in_request(const struct parse *p)
{
    return p->in_request;
}

const char *parse_why(const struct parse *p)
{
    return http_errno_description(HTTP_PARSER_ERRNO(&p->hp));
}

bool parse_split(struct str target, struct str *path, struct str *query)
{
    const char *mark;

    *query = (struct str){NULL, 0};
    if (target.n == 0) {
        return false;
    }
    if (target.p[0] != '/' && !(target.n == 1 && target.p[0] == '*')) {
        struct http_parser_url u;

        http_parser_url_init(&u);
        if (http_parser_parse_url(target.p, target.n, 0, &u) != 0) {
            return false;
        }
        *path = STR("/");
        if (u.field_set & 1 << UF_PATH) {
            *path = (struct str){target.p + u.field_data[UF_PATH].off,
                                 u.field_data[UF_PATH].len};
        }
        if (u.field_set & 1 << UF_QUERY) {
            *query = (struct str){target.p + u.field_data[UF_QUERY].off,
                                  u.field_data[UF_QUERY].len};
        }
        return true;
    }
    mark = memchr(target.p, '#', target.n);
    if (mark != NULL) {
        target.n = (size_t)(mark - target.p);
    }
    mark = memchr(target.p, '?', target.n);
    *path = target;
    if (mark != NULL) {
        path->n = (size_t)(mark - target.p);
        *query = (struct str){mark + 1, target.n - path->n - 1};
    }
    return true;
}
