/* Any bytes as lines in pairs, and as a list of arrays: events and values lie in the body,
 * each event is an event when it stands alone, and arrays become objects that are read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "decode/envelope.h"
#include "decode/rows.h"
#include "decode/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct arena arena, other_arena;
static struct event_batch batch, other;
static struct envelope *bulk, *nested;
static struct params_room room;
static struct str columns_keys[] = {STR("\"a\""), STR("\"b\"")};
static const struct row_columns columns = {columns_keys, 2};
static const struct scan_limits limits = {1000, 64};

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static void start(void)
{
    const struct str fields[] = {STR("_id"), STR("$action"), STR("a.b")};
    const struct str label = STR("s[].l");
    struct err e;

    arena_init(&arena, 16 << 20);
    arena_init(&other_arena, 16 << 20);
    event_batch_init(&batch, &arena);
    event_batch_init(&other, &other_arena);
    bulk = envelope_bulk_new(fields, 3, &e);
    nested = envelope_new(STR("s[].v[]"), &label, 1, &e);
    check(bulk != NULL && nested != NULL);
}

/* Of exactly its size, so that a byte beyond the padding is found. */
static char *copy_of(const char *p, size_t n)
{
    char *text = malloc(n + SCAN_PAD);

    memcpy(text, p, n);
    memset(text + n, '"', SCAN_PAD);
    return text;
}

static void check_events(void)
{
    for (uint32_t i = 0; i < batch.n; i++) {
        const struct event *ev = &batch.events[i];
        struct scan_error se;
        char *alone;

        check((uint64_t)ev->off + ev->len <= batch.body_len);
        if (ev->fate == EVENT_ACCEPT) {
            alone = copy_of(batch.body + ev->off, ev->len);
            check(scan_body(&other, NULL, SCAN_EVENT, &limits, alone, ev->len, &se) ==
                      SCAN_OK &&
                  other.events[0].fate == EVENT_ACCEPT);
            free(alone);
        }
    }
    for (uint32_t i = 0; i < batch.n_runs; i++) {
        const struct envelope_run *x = &batch.runs[i];

        check(x->first < x->end && x->end <= batch.n && x->place < 3);
        check((uint64_t)x->value.off + (x->value.tag >> 4) <= batch.body_len);
    }
}

static void check_rows(const struct envelope *v, const char *body, size_t n)
{
    struct scan_error se;
    enum scan_result r;
    struct str out;
    char *text;

    if (rows_write(&columns, v, &limits, (struct str){body, n}, 1 << 20, &room, &other,
                   &out, &se) != SCAN_OK) {
        check(se.at <= n || se.at == SCAN_BODY_MAX);
        return;
    }
    text = copy_of(out.p, out.n);
    r = v != NULL ? scan_enveloped(&batch, NULL, v, &limits, text, out.n, &se)
                  : scan_body(&batch, NULL, SCAN_BATCH, &limits, text, out.n, &se);
    /* What the first pass has read the second one reads, unless it holds no list. */
    check(r == SCAN_OK || n == 0 || (body[0] != '[' && body[0] != '{'));
    check_events();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct scan_error se;
    char *body;

    if (batch.events == NULL) {
        start();
    }
    if (n == 0) {
        return 0;
    }
    body = copy_of((const char *)data + 1, n - 1);
    switch (data[0] % 3) {
    case 0:
        if (scan_enveloped(&batch, NULL, bulk, &limits, body, n - 1, &se) == SCAN_OK) {
            check_events();
        } else {
            check(se.at <= n - 1 && se.detail != NULL);
        }
        break;
    case 1:
        check_rows(NULL, body, n - 1);
        break;
    default:
        check_rows(nested, body, n - 1);
        break;
    }
    free(body);
    return 0;
}
