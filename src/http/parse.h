/*
 * parse - the bytes of a connection to requests: all of http-parser.
 *
 *   parse_new -> parse_feed* -> parse_reset -> ... -> parse_free
 *
 * One owner, the connection. Texts of the head are copied; a body's parts are
 * handed on as they lie in what was fed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct parse;

enum { PARSE_HEADERS_MAX = 64, PARSE_TEXT_MAX = 65535 };

/* Views live until the next request begins. */
struct parse_head {
    struct str method, target;
    unsigned major, minor;
    bool chunked, keep_alive;
    bool has_length;
    uint64_t length; /* of the body; has_length */
};

/* False: stop behind this; parse_feed goes on from there when called again. */
struct parse_ops {
    bool (*on_head)(void *arg, const struct parse_head *h);
    bool (*on_part)(void *arg, const char *p, size_t n);
    bool (*on_whole)(void *arg);
};

enum parse_result {
    PARSE_OK = 0,
    PARSE_STOPPED, /* a callback said so */
    PARSE_BAD,     /* no HTTP/1: parse_why */
    PARSE_LARGE,   /* the head passes max_text, or has too many headers */
    PARSE_METHOD   /* a method that nobody knows */
};

struct parse *parse_new(const struct parse_ops *ops, void *arg);
void parse_free(struct parse *p); /* NULL is fine */

/* For another connection. max_text <= PARSE_TEXT_MAX: bytes of a head's texts. */
void parse_reset(struct parse *p, void *arg, uint32_t max_text);

/* Between two requests: lets go of the texts' memory, but for a little. Views of
 * the last request end. */
void parse_rest(struct parse *p);

/* Returns how many bytes were taken. After PARSE_BAD, PARSE_LARGE and
 * PARSE_METHOD nothing more can be fed. */
size_t parse_feed(struct parse *p, const char *data, size_t n,
                  enum parse_result *r);

/* The headers of the request in hand; returns how many. */
uint32_t parse_headers(const struct parse *p,
                       struct str_pair out[PARSE_HEADERS_MAX]);
struct str parse_target(const struct parse *p);
const char *parse_method(const struct parse *p);

/* Some bytes of a request were taken, but not the whole of it. */
bool parse_in_request(const struct parse *p);
const char *parse_why(const struct parse *p); /* static text */

/* Path and query of a request target in origin or absolute form, or "*". False:
 * neither. */
bool parse_split(struct str target, struct str *path, struct str *query);
