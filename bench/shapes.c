/*
 * shapes - the cost of an event in each form that a body may have, beside a JSON array's:
 * nanoseconds an event, decompressed, scanned, given its values and written out. The
 * least of several rounds.
 *
 *   shapes
 */
#include <brotli/encode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "decode/edit.h"
#include "decode/envelope.h"
#include "decode/rows.h"
#include "http/encoding.h"
#include "plan/enrich.h"

enum { EVENTS = 200, ROUNDS = 400, BODY_MAX = 1 << 18 };

struct bench {
    struct arena arena;
    struct event_batch batch;
    struct scan_keys *keys;
    struct encoding *encoding;
    char *body, *out;
    size_t n;
};

static void put_text(struct bench *b, const char *text)
{
    size_t n = strlen(text);

    memcpy(b->body + b->n, text, n);
    b->n += n;
    memset(b->body + b->n, 0, SCAN_PAD);
}

static void put_event(struct bench *b, int i)
{
    char text[400];

    (void)sprintf(
        text,
        "{\"event_id\":\"e-%06d\",\"event_type\":\"click\",\"ts\":17639000%05d,"
        "\"user_id\":\"user-%06d\",\"context\":{\"page\":\"/"
        "home\",\"ip\":\"203.0.113.%d"
        "\",\"agent\":\"Mozilla/5.0 (Linux; Android 16)\"},\"price\":12.50,"
        "\"items\":[1,2,3]}",
        i, i * 37 % 100000, i * 7 % 200, i % 250);
    put_text(b, text);
}

/* All events: what stands before the first, between two, and behind the last. */
static void use(struct bench *b, const char *before, const char *between,
                const char *after)
{
    b->n = 0;
    put_text(b, before);
    for (int i = 0; i < EVENTS; i++) {
        put_text(b, i == 0 ? "" : between);
        put_event(b, i);
    }
    put_text(b, after);
}

/* Lists of as many events as per says, each with a name beside it. */
static void use_lists(struct bench *b, int per)
{
    b->n = 0;
    put_text(b, "{\"g\":[");
    for (int i = 0; i < EVENTS; i++) {
        put_text(b, i % per != 0 ? ","
                    : i == 0     ? "{\"n\":\"shop\",\"l\":["
                                 : "]},{\"n\":\"shop\",\"l\":[");
        put_event(b, i);
    }
    put_text(b, "]}]}");
}

static void write_out(struct bench *b)
{
    for (uint32_t i = 0; i < b->batch.n; i++) {
        if (edit_bound(&b->batch, &b->batch.events[i]) > BODY_MAX) {
            abort();
        }
        (void)edit_splice(&b->batch, &b->batch.events[i], b->out);
    }
}

static void read_once(struct bench *b, enum scan_shape shape, const struct route *route,
                      enum http_encoding how)
{
    static const struct scan_limits limits = {10000, 64};
    struct policy_request req = {0};
    struct str body = {b->body, b->n};
    struct scan_error se;
    enum scan_result r;

    if (how != HTTP_IDENTITY &&
        encoding_inflate(b->encoding, how, body, BODY_MAX, &body) != ENCODING_OK) {
        abort();
    }
    r = route != NULL
            ? scan_enveloped(&b->batch, b->keys, route->envelope, &limits, body.p,
                             body.n, &se)
            : scan_body(&b->batch, b->keys, shape, &limits, body.p, body.n, &se);
    if (r != SCAN_OK || b->batch.n != EVENTS ||
        (route != NULL && route->enrichment != NULL &&
         !enrich_events(route, &b->batch, &req, 1 << 20))) {
        abort();
    }
    write_out(b);
}

static void measure(struct bench *b, const char *what, enum scan_shape shape,
                    const struct route *route, enum http_encoding how)
{
    double best = 1e9;

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t t = clock_mono_ns();
        double ns;

        read_once(b, shape, route, how);
        ns = (double)(clock_mono_ns() - t) / EVENTS;
        best = ns < best ? ns : best;
    }
    (void)printf("%-44s %6zu bytes %7.1f ns an event\n", what, b->n, best);
}

static void pack(struct bench *b, enum http_encoding how)
{
    static char plain[BODY_MAX];
    size_t n = b->n, k = BODY_MAX;
    z_stream z = {.next_in = (unsigned char *)plain,
                  .avail_in = (uInt)n,
                  .next_out = (unsigned char *)b->body,
                  .avail_out = BODY_MAX};
    bool ok = true;

    memcpy(plain, b->body, n);
    if (how == HTTP_ZSTD) {
        k = ZSTD_compress(b->body, k, plain, n, 3);
        ok = !ZSTD_isError(k);
    } else if (how == HTTP_BROTLI) {
        ok = BrotliEncoderCompress(5, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, n,
                                   (const uint8_t *)plain, &k, (uint8_t *)b->body);
    } else {
        ok = deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + (how == HTTP_GZIP ? 16 : 0), 8,
                          Z_DEFAULT_STRATEGY) == Z_OK &&
             deflate(&z, Z_FINISH) == Z_STREAM_END;
        k = z.total_out;
        (void)deflateEnd(&z);
    }
    if (!ok) {
        abort();
    }
    b->n = k;
}

static void measure_packed(struct bench *b)
{
    static const struct {
        const char *what;
        enum http_encoding packed, read;
    } rows[] = {{"array, gzip -6", HTTP_GZIP, HTTP_GZIP},
                {"array, gzip -6, by its first bytes", HTTP_GZIP, HTTP_DETECT},
                {"array, deflate -6", HTTP_DEFLATE, HTTP_DEFLATE},
                {"array, zstd -3", HTTP_ZSTD, HTTP_ZSTD},
                {"array, brotli -5", HTTP_BROTLI, HTTP_BROTLI}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        use(b, "[", ",", "]");
        pack(b, rows[i].packed);
        measure(b, rows[i].what, SCAN_BATCH, NULL, rows[i].read);
    }
}

static void measure_lists(struct bench *b)
{
    static const struct enrichment gives = {
        .list = {{.key = STR("\"shop\""), .from = ENRICH_ENVELOPE}}, .n = 1};
    static const int per[] = {200, 20, 1};
    const struct str field = STR("g[].n");
    struct err e;
    struct envelope *plain = envelope_new(STR("g[].l[]"), NULL, 0, &e);
    struct envelope *named = envelope_new(STR("g[].l[]"), &field, 1, &e);
    struct route bare = {.envelope = plain};
    struct route rich = {.envelope = named, .enrichment = &gives};

    if (plain == NULL || named == NULL) {
        abort();
    }
    for (size_t i = 0; i < sizeof per / sizeof *per; i++) {
        char what[64];

        use_lists(b, per[i]);
        (void)sprintf(what, "g[].l[], %d in a list", per[i]);
        measure(b, what, SCAN_BATCH, &bare, HTTP_IDENTITY);
        (void)sprintf(what, "g[].l[], %d in a list, g[].n in each event", per[i]);
        measure(b, what, SCAN_BATCH, &rich, HTTP_IDENTITY);
    }
    envelope_free(plain);
    envelope_free(named);
}

/* Lines in pairs, with two values of the action in each event. */
static void measure_bulk(struct bench *b)
{
    static const struct enrichment gives = {
        .list = {{.key = STR("\"_id\""), .from = ENRICH_ENVELOPE},
                 {.key = STR("\"op\""), .from = ENRICH_ENVELOPE}},
        .n = 2};
    const struct str fields[] = {STR("_id"), STR("$action")};
    static const char action[] =
        "{\"index\":{\"_index\":\"clicks\",\"_id\":\"e-1\"}}\n";
    struct err e;
    struct envelope *plain = envelope_bulk_new(NULL, 0, &e);
    struct envelope *named = envelope_bulk_new(fields, 2, &e);
    struct route bare = {.envelope = plain, .body = BODY_BULK};
    struct route rich = {.envelope = named, .enrichment = &gives, .body = BODY_BULK};

    if (plain == NULL || named == NULL) {
        abort();
    }
    b->n = 0;
    for (int i = 0; i < EVENTS; i++) {
        put_text(b, action);
        put_event(b, i);
        put_text(b, "\n");
    }
    measure(b, "lines in pairs", SCAN_BULK, &bare, HTTP_IDENTITY);
    measure(b, "lines in pairs, _id and $action in each event", SCAN_BULK, &rich,
            HTTP_IDENTITY);
    envelope_free(plain);
    envelope_free(named);
}

/* Arrays of three values, and the objects that they stand for. */
static void measure_rows(struct bench *b)
{
    static struct str keys[] = {STR("\"time\""), STR("\"line\""), STR("\"meta\"")};
    static const struct row_columns columns = {keys, 3};
    static const struct scan_limits limits = {10000, 64};
    struct params_room room = {NULL, 0};
    struct str out;
    struct scan_error se;
    double best = 1e9;

    b->n = 0;
    for (int i = 0; i < EVENTS; i++) {
        put_text(b,
                 i == 0 ? "[[\"1700000000000000001\"," : ",[\"1700000000000000001\",");
        put_text(b, "\"GET /a/page/with/a/path HTTP/1.1 200 1234 a browser's name, "
                    "which is rather long, as they are, and an address 10.0.0.1 and "
                    "the time that it took: 12 ms\",{\"trace\":\"0123456789abcdef\"}]");
    }
    put_text(b, "]");
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t t = clock_mono_ns();
        double ns;

        if (rows_write(&columns, NULL, &limits, (struct str){b->body, b->n}, BODY_MAX,
                       &room, &b->batch, &out, &se) != SCAN_OK ||
            scan_body(&b->batch, b->keys, SCAN_BATCH, &limits, out.p, out.n, &se) !=
                SCAN_OK ||
            b->batch.n != EVENTS) {
            abort();
        }
        write_out(b);
        ns = (double)(clock_mono_ns() - t) / EVENTS;
        best = ns < best ? ns : best;
    }
    (void)printf("%-44s %6zu bytes %7.1f ns an event\n", "arrays of three values", b->n,
                 best);
    (void)memcpy(b->body, out.p, out.n);
    b->n = out.n;
    measure(b, "the objects that they stand for", SCAN_BATCH, NULL, HTTP_IDENTITY);
    free(room.p);
}

int main(void)
{
    const struct str paths[] = {STR("event_id"), STR("event_type"), STR("ts"),
                                STR("user_id"),  STR("context.ip"), STR("price")};
    struct bench b = {.body = malloc(BODY_MAX), .out = malloc(BODY_MAX)};
    struct err e;

    arena_init(&b.arena, 64 << 20);
    event_batch_init(&b.batch, &b.arena);
    b.keys = scan_keys_new(paths, sizeof paths / sizeof *paths, &e);
    b.encoding = encoding_new();
    use(&b, "[", ",", "]");
    measure(&b, "array", SCAN_BATCH, NULL, HTTP_IDENTITY);
    measure(&b, "array, body = \"events\"", SCAN_VALUES, NULL, HTTP_IDENTITY);
    use(&b, "", "", "");
    measure(&b, "values without space", SCAN_VALUES, NULL, HTTP_IDENTITY);
    use(&b, "", "\n", "\n");
    measure(&b, "values, a line each", SCAN_VALUES, NULL, HTTP_IDENTITY);
    measure(&b, "NDJSON", SCAN_NDJSON, NULL, HTTP_IDENTITY);
    measure_lists(&b);
    measure_bulk(&b);
    measure_rows(&b);
    measure_packed(&b);
    encoding_free(b.encoding);
    event_batch_fini(&b.batch);
    arena_fini(&b.arena);
    scan_keys_free(b.keys);
    free(b.body);
    free(b.out);
    return 0;
}
