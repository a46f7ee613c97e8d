/* Any bytes as a body of multipart/form-data, and as its content type: no crash; the
 * object scans; a place of an error lies in the body; a prefix of a whole body that lacks
 * the last boundary is refused. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "decode/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct arena arena;
static struct event_batch batch;
static struct params_room room;
static const struct scan_limits limits = {1, 64};
static const struct param_rule typed[] = {{STR("n"), PARAM_NUMBER, false},
                                          {STR("b"), PARAM_BOOL, false},
                                          {STR("j"), PARAM_JSON, false},
                                          {STR("e"), PARAM_BASE64, false}};

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static enum params_result read_body(const struct params_rules *rules,
                                    struct str boundary, const uint8_t *p, size_t n,
                                    struct str *event)
{
    char *body = malloc(n > 0 ? n : 1);
    struct params_error e;
    enum params_result r;

    memcpy(body, p, n);
    r = multipart_write(rules, &limits, boundary, (struct str){body, n}, 1 << 24, &room,
                        event, &e);
    check(r == PARAMS_OK || r == PARAMS_TOO_LARGE || e.at <= n);
    free(body);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char text[BOUNDARY_MAX];
    struct params_rules rules = {.rules = typed, .n_rules = 4, .key = {1, 2}};
    struct str boundary = STR("B"), event;
    struct scan_error se;
    enum scan_result r;

    if (batch.events == NULL) {
        arena_init(&arena, 16 << 20);
        event_batch_init(&batch, &arena);
    }
    if (n == 0) {
        return 0;
    }
    rules.repeated = (enum params_repeated)(data[0] % 4);
    (void)multipart_boundary((struct str){(const char *)data + 1, n - 1}, text);
    if (read_body(&rules, boundary, data + 1, n - 1, &event) != PARAMS_OK) {
        return 0;
    }
    r = scan_body(&batch, NULL, SCAN_EVENT, &limits, event.p, event.n, &se);
    check(r == SCAN_OK || r == SCAN_TOO_DEEP);
    check(r != SCAN_OK || batch.events[0].fate == EVENT_ACCEPT ||
          (rules.repeated == PARAMS_REFUSE &&
           strcmp(batch.events[0].code, "duplicate_key") == 0));
    /* The last boundary stands in the last bytes that are no space. */
    while (n > 1 && strchr(" \t\r\n", data[n - 1]) != NULL && data[n - 1] != '\0') {
        n--;
    }
    check(read_body(&rules, boundary, data + 1, n - 2, &event) != PARAMS_OK);
    return 0;
}
