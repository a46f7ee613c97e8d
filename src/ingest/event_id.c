#include "ingest/event_id.h"

#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "decode/scan.h"
#include "index/format.h"
#include "index/ids.h"
#include "index/member.h"
#include "index/print_ring.h"
#include "ingest/internal.h"

enum {
    AT_A_TIME = 64,
    ESCAPED_MAX = 4096 /* bytes of an id with escapes; the thread reads longer ones */
};

struct id_field *id_fields_of(const struct plan *plan)
{
    struct id_field *fields = NULL;

    for (uint32_t i = 0; i < plan->n_streams; i++) {
        const char *path = plan->streams[i].index_field;

        if (path == NULL) {
            continue;
        }
        if (fields == NULL) {
            fields = mem_zalloc(plan->n_streams * sizeof *fields);
        }
        fields[i].hash = plan_key_hash(path);
        if (ids_is_plain(path)) {
            fields[i].name = str_of(path);
        }
    }
    return fields;
}

/* ---- an event ---- */

static struct spool_note note_of(enum member_found found, uint64_t off, uint64_t n)
{
    static const uint8_t kinds[] = {
        [MEMBER_TEXT] = SPOOL_NOTE_PLAIN,   [MEMBER_ESCAPED] = SPOOL_NOTE_ESCAPED,
        [MEMBER_NUMBER] = SPOOL_NOTE_PLAIN, [MEMBER_OTHER] = SPOOL_NOTE_NONE,
        [MEMBER_ABSENT] = SPOOL_NOTE_NONE,  [MEMBER_UNSURE] = SPOOL_NOTE_UNKNOWN,
    };

    if (UNLIKELY(n > SPOOL_NOTE_MAX)) {
        return (struct spool_note){0, SPOOL_NOTE_UNKNOWN};
    }
    return (struct spool_note){(uint32_t)off, (uint32_t)n << 2 | kinds[found]};
}

/* Whether an edit of ev may be of that key. */
static bool is_edited(const struct event_batch *b, const struct event *ev,
                      struct str name)
{
    for (uint32_t i = ev->edit_first; i != 0; i = b->edits[i - 1].next) {
        const struct edit *x = &b->edits[i - 1];

        if (str_eq((struct str){x->key + 1, x->key_len - 2}, name) ||
            memchr(x->key, '\\', x->key_len) != NULL) {
            return true;
        }
    }
    return false;
}

/* Whether the slot tells what stands in the text: a slot of a value that an edit has
 * brought lies elsewhere. */
static bool slot_holds(const struct id_field *f, const struct event_batch *b,
                       const struct event *ev, bool kept)
{
    return kept &&
           (ev->n_edits == 0 || (f->name.p != NULL && !is_edited(b, ev, f->name)));
}

struct spool_note event_id_of(const struct id_field *f, int slot,
                              const struct event_batch *b, const struct event *ev,
                              bool kept, struct str text)
{
    struct str value = {text.p, 0};
    enum member_found found = MEMBER_UNSURE;

    if (LIKELY(slot >= 0 && slot_holds(f, b, ev, kept))) {
        const struct slot *x = &ev->slots[slot];
        const uint64_t off = (uint64_t)x->off - ev->off, n = x->tag >> 4;

        found = member_of_kind((enum slot_kind)(x->tag & 15));
        if (found >= MEMBER_OTHER) {
            return note_of(found, 0, 0);
        }
        if (off < ev->len && n <= ev->len - off) {
            return note_of(found, off, n);
        }
    }
    found = f->name.p == NULL ? MEMBER_UNSURE : member_find(text, f->name, &value);
    return note_of(found, (uint64_t)(value.p - text.p), value.n);
}

/* ---- a block ---- */

static uint64_t print_escaped(const char *p, uint32_t n)
{
    char plain[ESCAPED_MAX];

    return n > ESCAPED_MAX ? PRINT_NONE
                           : index_print(plain, scan_unescape(p, n, plain));
}

/* Of up to AT_A_TIME events from `from` on. False: one is not known. */
static bool print_some(const struct spool_pending *p, uint32_t from, uint32_t n,
                       uint64_t *out)
{
    struct str texts[AT_A_TIME];
    uint64_t prints[AT_A_TIME];
    uint32_t at[AT_A_TIME], n_texts = 0;
    bool known = true;

    for (uint32_t i = 0; i < n; i++) {
        const struct spool_note note = p->notes[from + i];
        const char *id = p->payload + p->entries[from + i].off + note.off;

        switch ((enum spool_note_kind)(note.tag & 3)) {
        case SPOOL_NOTE_PLAIN:
            at[n_texts] = i;
            texts[n_texts++] = (struct str){id, note.tag >> 2};
            break;
        case SPOOL_NOTE_ESCAPED:
            out[i] = print_escaped(id, note.tag >> 2);
            known &= out[i] != PRINT_NONE;
            break;
        case SPOOL_NOTE_NONE:
            out[i] = PRINT_NONE;
            break;
        case SPOOL_NOTE_UNKNOWN:
            return false;
        }
    }
    index_prints(texts, n_texts, prints);
    for (uint32_t i = 0; i < n_texts; i++) {
        out[at[i]] = prints[i];
        known &= prints[i] != PRINT_NONE;
    }
    return known;
}

struct print_block *event_ids_print(struct stream_writer *o)
{
    const struct spool_pending p = spool_writer_events(o->writer);
    struct print_block *ids;

    if (o->ids_field == 0 || p.n == 0 || p.notes == NULL ||
        (ids = print_ring_room(o->prints, p.n)) == NULL) {
        return NULL;
    }
    ids->field = o->ids_field;
    for (uint32_t i = 0; i < p.n; i += AT_A_TIME) {
        if (!print_some(&p, i, p.n - i < AT_A_TIME ? p.n - i : AT_A_TIME,
                        ids->prints + i)) {
            return NULL;
        }
    }
    return ids;
}

void event_ids_hand(struct stream_writer *o, struct print_block *ids)
{
    ids->at = *spool_writer_written(o->writer);
    print_ring_put(o->prints);
}
