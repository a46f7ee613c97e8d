#include "server/page/asset.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <zlib.h>

#include "base/attr.h"
#include "base/mem.h"
#include "http/http.h"
#include "server/admin/prefers.h"

#define SCRIPT "text/javascript; charset=utf-8"
#define STYLE "text/css; charset=utf-8"

/* Nothing of the page comes from elsewhere or goes there, nothing of it stands in the
 * document itself, and no other page may frame it or read it. */
const char asset_headers[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: DENY\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n";

struct asset {
    const char *path, *name, *type;
    char *small; /* gzip; NULL: not made yet */
    size_t n_small;
    char etag[24];
};

static struct asset assets[] = {
    {.path = "/", .name = "index.html", .type = "text/html; charset=utf-8"},
    {.path = "/page/page.css", .name = "page.css", .type = STYLE},
    {.path = "/page/detail.js", .name = "detail.js", .type = SCRIPT},
    {.path = "/page/page.js", .name = "page.js", .type = SCRIPT},
    {.path = "/page/parts.js", .name = "parts.js", .type = SCRIPT},
    {.path = "/page/plot.js", .name = "plot.js", .type = SCRIPT},
    {.path = "/page/server.js", .name = "server.js", .type = SCRIPT},
    {.path = "/page/words.js", .name = "words.js", .type = SCRIPT},
    {.path = "/page/uplot.js", .name = "uplot.js", .type = SCRIPT},
    {.path = "/page/uplot.css", .name = "uplot.css", .type = STYLE}};

static struct asset *find(struct str path)
{
    for (size_t i = 0; i < N_ELEMS(assets); i++) {
        if (str_eq(path, str_of(assets[i].path))) {
            return &assets[i];
        }
    }
    return NULL;
}

bool asset_is(struct str path)
{
    return find(path) != NULL;
}

static void compress_asset(struct asset *a, struct str text)
{
    z_stream z = {0};
    size_t room;

    /* 16: with the header and the checksum of gzip */
    if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 9,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return;
    }
    room = deflateBound(&z, text.n);
    a->small = mem_alloc(room);
    z.next_in = (Bytef *)(uintptr_t)text.p;
    z.avail_in = (uInt)text.n;
    z.next_out = (Bytef *)a->small;
    z.avail_out = (uInt)room;
    if (deflate(&z, Z_FINISH) == Z_STREAM_END) {
        a->n_small = room - z.avail_out;
    }
    (void)deflateEnd(&z);
}

static struct str header(const struct http_view *v, const char *name)
{
    for (uint32_t i = 0; i < v->n_headers; i++) {
        if (v->headers[i].name.n == strlen(name) &&
            strncasecmp(v->headers[i].name.p, name, v->headers[i].name.n) == 0) {
            return v->headers[i].value;
        }
    }
    return (struct str){"", 0};
}

static bool holds(struct str text, const char *word)
{
    return memmem(text.p, text.n, word, strlen(word)) != NULL;
}

void asset_answer(struct http_request *r, const struct http_view *v)
{
    struct asset *a = find(v->path);
    struct str text = asset_text(a->name);
    char lines[sizeof asset_headers + 256];
    bool small;

    if (a->etag[0] == '\0') {
        (void)snprintf(a->etag, sizeof a->etag, "\"%016" PRIx64 "\"",
                       str_hash(STR_HASH, text));
        compress_asset(a, text);
    }
    small = a->n_small > 0 && a->n_small < text.n && prefers_coding(v) == PREFERS_GZIP;
    (void)snprintf(lines, sizeof lines,
                   "Content-Type: %s\r\n%sETag: %s\r\nCache-Control: no-cache\r\n"
                   "Vary: Accept-Encoding\r\n%s",
                   a->type, asset_headers, a->etag,
                   small ? "Content-Encoding: gzip\r\n" : "");
    if (holds(header(v, "if-none-match"), a->etag)) {
        http_answer(r, 304, lines, (struct str){"", 0});
    } else {
        http_answer(r, 200, lines, small ? (struct str){a->small, a->n_small} : text);
    }
}
