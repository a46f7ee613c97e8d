/*
 * parse - the bytes of a connection to requests. http-parser takes the heads, which
 * head.h has checked before; bodies are framed by framing.h and chunked.h.
 *
 *   parse_new -> parse_feed* -> parse_reset -> ... -> parse_free
 *
 * One owner, the connection. Texts of the head are copied; a body's parts are handed on
 * as they lie in the bytes that were fed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "http/framing.h"
#include "http/headers.h"

struct chunked;
struct parse;

enum { PARSE_HEADERS_MAX = HEADERS_MAX, PARSE_TEXT_MAX = 65535 };

/* Views live until the next request begins. */
struct parse_head {
    struct str method, target;
    unsigned major, minor;
    struct framing framing; /* without the host */
    bool sound_host;        /* there is at most one, and it is one */
};

/* False: stop after this; parse_feed goes on from there when called again. */
struct parse_ops {
    bool (*on_head)(void *arg, const struct parse_head *h);
    /* A chunk of so many bytes begins. */
    bool (*on_chunk)(void *arg, uint64_t bytes);
    bool (*on_part)(void *arg, const char *p, size_t n);
    bool (*on_whole)(void *arg);
};

enum parse_result {
    PARSE_OK = 0,
    PARSE_STOPPED, /* a callback said so */
    PARSE_BAD,     /* no HTTP/1: parse_why */
    PARSE_LARGE,   /* the head passes max_text, or has too many headers; or the
                      trailers, or the chunks' extensions, are too many */
    PARSE_METHOD   /* an unknown method */
};

struct parse *parse_new(const struct parse_ops *ops, void *arg);
void parse_free(struct parse *p); /* NULL is fine */

/* For another connection. max_text <= PARSE_TEXT_MAX: bytes of a head's texts. */
void parse_reset(struct parse *p, void *arg, uint32_t max_text);
void parse_limit(struct parse *p, uint32_t max_text); /* from the next head on */

/* Between two requests: lets go of the texts' memory, but for a little. Views of
 * the last request end. */
void parse_rest(struct parse *p);

/* Returns how many bytes were taken. After PARSE_BAD, PARSE_LARGE and
 * PARSE_METHOD nothing more can be fed. */
size_t parse_feed(struct parse *p, const char *data, size_t n, enum parse_result *r);

/* The headers of the request in hand, or those that have come of it; returns how
 * many. Once the head is whole, no name is there twice: the values of such are one
 * list (RFC 9110, 5.3). */
uint32_t parse_headers(const struct parse *p, struct str_pair out[PARSE_HEADERS_MAX]);
struct str parse_target(const struct parse *p);
const char *parse_method(const struct parse *p);

/* Some bytes of a request were taken, but not the whole of it. */
bool parse_in_request(const struct parse *p);
const char *parse_why(const struct parse *p); /* static text */

/* Where the bytes of a head that is in hand lie in those that were fed last. True: its
 * first one, too. */
bool parse_head_from(const struct parse *p, size_t *from) MUST_USE;
/* The framing of the body in hand; NULL: it is not chunked. */
const struct chunked *parse_chunks(const struct parse *p);
