/* Any bytes as a body of each shape: no crash; what is taken must be taken by cJSON
 * too; every event spliced with an edit must scan again. */
#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "decode/edit.h"
#include "decode/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct arena arena, again_arena;
static struct event_batch batch, again;
static struct scan_keys *keys;
static const struct scan_limits limits = {1000, 64};

static void start(void)
{
    const struct str paths[] = {STR("id"), STR("a"), STR("p.q"), STR("p"),
                                STR("v")};
    struct err e;

    arena_init(&arena, 16 << 20);
    arena_init(&again_arena, 16 << 20);
    event_batch_init(&batch, &arena);
    event_batch_init(&again, &again_arena);
    keys = scan_keys_new(paths, 5, &e);
}

static void edit_and_rescan(struct event *ev)
{
    struct scan_error se;
    char *out;
    size_t n;

    if (!edit_set(&batch, ev, STR("a"), STR("\"edited\""), false) ||
        !edit_set(&batch, ev, STR("new"), STR("1"), false) ||
        !edit_set(&batch, ev, STR("v"), STR(""), true)) {
        abort();
    }
    out = calloc(1, edit_bound(&batch, ev) + SCAN_PAD);
    n = edit_splice(&batch, ev, out);
    if (memchr(out, '\n', n) != NULL ||
        scan_body(&again, keys, SCAN_EVENT, &limits, out, n, &se) != SCAN_OK ||
        (again.events[0].slots[1].tag & 15) != SLOT_STRING ||
        (again.events[0].slots[4].tag & 15) != SLOT_ABSENT) {
        abort();
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct scan_error se;
    char *body;

    if (keys == NULL) {
        start();
    }
    if (n == 0) {
        return 0;
    }
    body = calloc(1, n + SCAN_PAD);
    memcpy(body, data + 1, n - 1);
    for (int round = 0; round < 2; round++) {
        enum scan_shape shape = (enum scan_shape)(data[0] % 3);

        if (scan_body(&batch, keys, shape, &limits, body, n - 1, &se) !=
            SCAN_OK) {
            if (se.at > n) {
                abort();
            }
            continue;
        }
        if (shape != SCAN_NDJSON) {
            cJSON *o = cJSON_ParseWithLength(body, n - 1);

            if (o == NULL) {
                abort();
            }
            cJSON_Delete(o);
        }
        for (uint32_t i = 0; i < batch.n; i++) {
            if (batch.events[i].fate == EVENT_ACCEPT) {
                edit_and_rescan(&batch.events[i]);
            }
        }
    }
    free(body);
    return 0;
}
