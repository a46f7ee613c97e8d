/* Any bytes as a request's head and body: parts of it decode within their room, and a
 * CloudEvent in binary mode becomes one JSON object, whose data is the body and nothing
 * else. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/attr.h"
#include "decode/scan.h"
#include "decode/walk.h"
#include "plan/cloudevent.h"
#include "plan/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { HEADERS_MAX = 16 };

static struct arena arena;
static struct event_batch batch;
static const struct scan_limits limits = {10, 64};

/* The input's lines: target, headers with a ':' each, then behind an empty line the
 * body. */
static struct str line_of(struct str *s)
{
    const char *nl = s->n == 0 ? NULL : memchr(s->p, '\n', s->n);
    struct str line = {s->p, nl == NULL ? s->n : (size_t)(nl - s->p)};
    size_t gone = line.n + (nl != NULL);

    *s = (struct str){s->p + gone, s->n - gone};
    return line;
}

static void decode(const struct policy_request *q, enum request_part part,
                   struct str name)
{
    struct str raw = request_raw(q, "/v1/:a/:b", part, name);
    size_t n;
    char *out;

    if (raw.p == NULL) {
        return;
    }
    out = malloc(raw.n + 1);
    if (request_decode(part, raw, out, &n) && n > raw.n) {
        abort();
    }
    free(out);
}

static void make(const struct policy_request *q, struct str body)
{
    enum cloudevent_data kind = cloudevent_data(q, body);
    size_t bound = cloudevent_bound(q, body, kind), k;
    char *out = calloc(1, bound + SCAN_PAD);
    struct scan_error se;
    struct member m;
    struct walk w;
    const char *why = NULL;

    if (kind == CLOUDEVENT_JSON &&
        scan_value(&limits, body.p, body.n, &se) != SCAN_OK) {
        free(out);
        return;
    }
    k = cloudevent_write(q, body, kind, out, &why);
    if (k > bound || (k == 0 && why == NULL)) {
        abort();
    }
    if (k > 0) {
        enum scan_result r = scan_body(&batch, NULL, SCAN_EVENT, &limits, out, k, &se);

        if ((r != SCAN_OK && r != SCAN_TOO_DEEP) || (r == SCAN_OK && batch.n != 1)) {
            abort();
        }
        walk_start(&w, (struct str){out, k});
        while (walk_next(&w, &m)) {
            if (kind == CLOUDEVENT_JSON && str_eq(m.key, STR("data")) &&
                (memmem(body.p, body.n, m.value.p, m.value.n) == NULL ||
                 m.value.n > body.n)) {
                abort();
            }
        }
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str_pair headers[HEADERS_MAX];
    struct policy_request q = {.headers = headers};
    struct str rest = {(const char *)data, n}, target = line_of(&rest), line;
    const char *mark = target.n == 0 ? NULL : memchr(target.p, '?', target.n);
    char *body;

    if (batch.arena == NULL) {
        arena_init(&arena, 16 << 20);
        event_batch_init(&batch, &arena);
    }
    q.path =
        (struct str){target.p, mark == NULL ? target.n : (size_t)(mark - target.p)};
    if (mark != NULL) {
        q.query = (struct str){mark + 1, target.n - q.path.n - 1};
    }
    while (line = line_of(&rest), line.n > 0 && q.n_headers < HEADERS_MAX) {
        const char *colon = memchr(line.p, ':', line.n);

        if (colon != NULL) {
            headers[q.n_headers++] =
                (struct str_pair){{line.p, (size_t)(colon - line.p)},
                                  {colon + 1, (size_t)(line.p + line.n - colon - 1)}};
        }
    }
    (void)request_matches("/v1/:a/:b", q.path);
    for (int part = REQUEST_PARAM; part <= REQUEST_PEER; part++) {
        decode(&q, (enum request_part)part, STR("a"));
    }
    body = calloc(1, rest.n + SCAN_PAD);
    if (rest.n > 0) {
        memcpy(body, rest.p, rest.n);
    }
    make(&q, (struct str){body, rest.n});
    free(body);
    return 0;
}
