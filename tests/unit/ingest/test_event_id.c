/* The id that a worker notes as it stores an event is the one that is found when the stored
 * event is read, whatever the event is and whatever has edited it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/err.h"
#include "decode/edit.h"
#include "decode/scan.h"
#include "index/format.h"
#include "index/ids.h"
#include "ingest/event_id.h"

enum { ROUNDS = 60000, TEXT_MAX = 4096 };

static const char *const KEYS[] = {"event_id", "a",    "a.id",  "n",  "event\\u005fid",
                                   "x\\u0079", "even", "event", "id", "event_id_2"};
static const char *const VALUES[] = {"\"e1\"",
                                     "\"\"",
                                     "12",
                                     "-0.5e3",
                                     "null",
                                     "true",
                                     "\"a\\\"b\\u0041\"",
                                     "{\"id\":\"d\"}",
                                     "{\"id\":7,\"o\":{\"id\":8}}",
                                     "{\"id\":1,\"id\":2}",
                                     "{}",
                                     "[1,{\"event_id\":2}]",
                                     "\"event_id\"",
                                     "\"\\\\\"",
                                     "{\"event_id\":\"in\"}",
                                     "\"\xc3\xa9\"",
                                     "0",
                                     "{\"i\\u0064\":3}",
                                     "\"0123456789abcdef0123456789abcdef0123\""};
static const char *const SPACES[] = {"", "", "", " ", "\t ", "\n"};

static unsigned seed = 1;

static unsigned below(unsigned n)
{
    seed = seed * 1103515245u + 12345u;
    return seed / 65536u % n;
}

#define ANY(list) (list)[below((unsigned)N_ELEMS(list))]

static size_t make_event(char *out)
{
    size_t n = 1;

    out[0] = '{';
    for (unsigned i = 0, many = below(5); i < many; i++) {
        n += (size_t)snprintf(out + n, TEXT_MAX - n, "%s%s\"%s\"%s:%s%s%s",
                              i == 0 ? "" : ",", ANY(SPACES), ANY(KEYS), ANY(SPACES),
                              ANY(SPACES), ANY(VALUES), ANY(SPACES));
    }
    out[n] = '}';
    return n + 1;
}

/* As a route's `set` does: the slot is of a text that is elsewhere, and here seems to be in
 * the event. */
static void enrich(struct event_batch *b, struct event *ev, uint32_t slot)
{
    if ((ev->slots[slot].tag & 15) == SLOT_ABSENT &&
        !edit_has_key(b, ev, STR("\"event_id\""))) {
        assert_true(edit_put(b, ev, STR("\"event_id\""), STR("\"set\""), EDIT_SET));
        ev->slots[slot] = (struct slot){.off = ev->off, .tag = 1u << 4 | SLOT_STRING};
    }
}

static void edit(struct event_batch *b, struct event *ev)
{
    static const char *const names[] = {"event_id", "a", "n", "more", "a.id"};

    for (unsigned i = below(4); i > 0; i--) {
        const char *name = ANY(names), *value = ANY(VALUES);

        assert_true(edit_set(b, ev, str_of(name), str_of(value),
                             below(5) == 0 ? EDIT_REMOVE : EDIT_SET));
    }
}

static void is_what_is_read(struct ids *ids, struct spool_note note, char *stored,
                            size_t n, const char *sent)
{
    const uint32_t len = note.tag >> 2;
    char plain[TEXT_MAX];
    struct str id, noted = {stored + note.off, len};

    stored[n] = '\n';
    ids_read_stored(ids, (struct str){stored, n + 1}, 1);
    id = ids_get(ids, 0);
    if ((note.tag & 3) == SPOOL_NOTE_ESCAPED) {
        noted = (struct str){plain, scan_unescape(noted.p, len, plain)};
    }
    if ((note.tag & 3) == SPOOL_NOTE_NONE ? id.p != NULL
                                          : id.p == NULL || !str_eq(id, noted)) {
        fail_msg("sent %s, stored %.*s: noted %u \"%.*s\", read \"%.*s\"", sent, (int)n,
                 stored, note.tag & 3, (int)noted.n, noted.p, (int)id.n,
                 id.p == NULL ? "" : id.p);
    }
}

/* slot -1: the schema does not name it. */
static void differ(const char *path, int slot)
{
    const struct str paths[] = {STR("n"), STR("event_id"), STR("a.id")};
    const struct scan_limits limits = {1, 64};
    struct id_field f = {.hash = 1, .name = {NULL, 0}};
    struct scan_keys *keys;
    struct event_batch b;
    struct arena arena;
    struct ids *ids;
    struct err e;
    unsigned known = 0;

    keys = scan_keys_new(paths, N_ELEMS(paths), &e);
    ids = ids_new(path, &e);
    if (ids_is_plain(path)) {
        f.name = str_of(path);
    }
    arena_init(&arena, 1 << 20);
    event_batch_init(&b, &arena);
    for (unsigned i = 0; i < ROUNDS; i++) {
        char sent[TEXT_MAX + SCAN_PAD], stored[TEXT_MAX];
        struct scan_error se;
        struct event *ev;
        struct spool_note note;
        size_t n = make_event(sent);
        bool kept;

        memset(sent + n, 0, SCAN_PAD);
        if (scan_body(&b, keys, SCAN_EVENT, &limits, sent, n, &se) != SCAN_OK ||
            b.events[0].fate != EVENT_ACCEPT) {
            continue;
        }
        ev = &b.events[0];
        if (slot == 1 && below(4) == 0) {
            enrich(&b, ev, 1);
        }
        if (below(2) == 0) {
            edit(&b, ev);
        }
        n = edit_splice_kept(&b, ev, stored, &kept);
        memset(stored + n, 0, 64);
        note = event_id_of(&f, slot, &b, ev, kept, (struct str){stored, n});
        if ((note.tag & 3) != SPOOL_NOTE_UNKNOWN) {
            known++;
            is_what_is_read(ids, note, stored, n, sent);
        }
    }
    if (slot >= 0 || f.name.p != NULL) {
        assert_true(known > ROUNDS / 5);
    } else {
        assert_int_equal(0, known);
    }
    event_batch_fini(&b);
    arena_fini(&arena);
    ids_free(ids);
    scan_keys_free(keys);
}

static void a_field_of_the_schema_is_noted_as_it_is_read(void **state)
{
    (void)state;
    differ("event_id", 1);
}

static void a_field_that_no_schema_names_is_noted_as_it_is_read(void **state)
{
    (void)state;
    differ("event_id", -1);
    differ("n", -1);
}

static void a_field_of_an_object_is_noted_as_it_is_read(void **state)
{
    (void)state;
    differ("a.id", 2);
    differ("a.id", -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_of_the_schema_is_noted_as_it_is_read),
        cmocka_unit_test(a_field_that_no_schema_names_is_noted_as_it_is_read),
        cmocka_unit_test(a_field_of_an_object_is_noted_as_it_is_read),
    };

    return cmocka_run_group_tests_name("event_id", tests, NULL, NULL);
}
