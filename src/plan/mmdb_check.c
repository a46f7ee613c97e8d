#include "plan/mmdb_check.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"

enum {
    SEPARATOR = 16,             /* zero bytes between the tree and the data */
    METADATA_BYTES = 128 << 10, /* its greatest size */
    METADATA_VALUES = 65536,
    STEPS_A_BYTE = 4, /* of the data; a good file takes less than one */
    TEXT_STEP = 8,    /* bytes of a text that are one */
    STEPS_LEAST = 1 << 20
};

static const char MARKER[] = "\xAB\xCD\xEFMaxMind.com";
enum { MARKER_BYTES = sizeof MARKER - 1 };

/* A walk over values, each once, though many lead to it. */
struct walk {
    struct str data;
    uint8_t
        *seen; /* 2 bits a byte of data: enum seen; NULL: what is pointed to is walked
                      each time */
    uint64_t steps;  /* left */
    uint32_t values; /* inside the value in hand */
    struct err *e;
};

enum seen { UNSEEN, OPEN, GOOD };

static uint32_t big(const char *p, uint32_t n)
{
    uint32_t v = 0;

    for (uint32_t i = 0; i < n; i++) {
        v = v << 8 | (unsigned char)p[i];
    }
    return v;
}

static bool read_pointer(struct str data, uint32_t at, unsigned control,
                         struct mmdb_head *h)
{
    static const uint32_t added[] = {0, 2048, 526336, 0};
    uint32_t n = (control >> 3 & 3) + 1, high = n == 4 ? 0 : control & 7;

    if (data.n - at < n) {
        return false;
    }
    h->size = (high << (8 * (n & 3))) + big(data.p + at, n) + added[n - 1];
    h->next = at + n;
    return true;
}

bool mmdb_head(struct str data, uint32_t at, struct mmdb_head *h)
{
    static const uint32_t added[] = {29, 285, 65821};
    unsigned control, type, n;

    if (at >= data.n) {
        return false;
    }
    control = (unsigned char)data.p[at++];
    type = control >> 5;
    if (type == 0) {
        if (at >= data.n) {
            return false;
        }
        type = (unsigned char)data.p[at++] + 7u;
        if (type < MMDB_INT32 || type > MMDB_FLOAT ||
            (type > MMDB_ARRAY && type < MMDB_BOOL)) {
            return false;
        }
    }
    h->type = (enum mmdb_type)type;
    if (type == MMDB_POINTER) {
        return read_pointer(data, at, control, h);
    }
    n = (control & 31) < 29 ? 0 : (control & 31) - 28;
    if (data.n - at < n) {
        return false;
    }
    h->size = n == 0 ? control & 31 : big(data.p + at, n) + added[n - 1];
    h->next = at + n;
    return true;
}

uint32_t mmdb_follow(struct str data, uint32_t at, struct mmdb_head *h)
{
    if (mmdb_head(data, at, h) && h->type == MMDB_POINTER) {
        at = h->size;
        (void)mmdb_head(data, at, h);
    }
    return at;
}

static bool right_size(const struct mmdb_head *h)
{
    switch (h->type) {
    case MMDB_DOUBLE:
        return h->size == 8;
    case MMDB_FLOAT:
        return h->size == 4;
    case MMDB_UINT16:
        return h->size <= 2;
    case MMDB_UINT32:
    case MMDB_INT32:
        return h->size <= 4;
    case MMDB_UINT64:
        return h->size <= 8;
    case MMDB_UINT128:
        return h->size <= 16;
    case MMDB_BOOL:
        return h->size <= 1;
    default:
        return true;
    }
}

static bool is_utf8(const char *p, const char *end)
{
    while (p < end) {
        unsigned n = (unsigned char)*p < 0x80 ? 1 : utf8_char(p, end);

        if (n == 0) {
            return false;
        }
        p += n;
    }
    return true;
}

static bool wrong(struct walk *w, uint32_t at, const char *what)
{
    return err_set(w->e, "the value at byte %u of its data %s", at, what);
}

static bool walk_pointed(struct walk *w, uint32_t at, unsigned depth);
static bool walk_value(struct walk *w, uint32_t at, unsigned depth, uint32_t *end);

/* A key of a map: a text, or a pointer to one. */
static bool walk_key(struct walk *w, uint32_t at, unsigned depth, uint32_t *end)
{
    struct mmdb_head h;

    if (!walk_value(w, at, depth, end) || !mmdb_head(w->data, at, &h)) {
        return false;
    }
    if (h.type == MMDB_POINTER && !mmdb_head(w->data, h.size, &h)) {
        return false;
    }
    return h.type == MMDB_TEXT || wrong(w, at, "is a map's key, but no text");
}

static bool walk_inside(struct walk *w, const struct mmdb_head *h, unsigned depth,
                        uint32_t *end)
{
    uint32_t at = h->next;

    for (uint32_t i = 0; i < h->size; i++) {
        if ((h->type == MMDB_MAP && !walk_key(w, at, depth, &at)) ||
            !walk_value(w, at, depth, &at)) {
            return false;
        }
    }
    *end = at;
    return true;
}

static bool walk_value(struct walk *w, uint32_t at, unsigned depth, uint32_t *end)
{
    struct mmdb_head h, to;

    if (w->steps == 0) {
        return err_set(w->e, "its values overlap, or lead to the same ones too often");
    }
    w->steps--;
    if (++w->values > MMDB_VALUES_MAX) {
        return wrong(w, at, "lies in one with more than 16384 values");
    }
    if (depth > MMDB_DEPTH_MAX) {
        return wrong(w, at, "lies more than 128 deep");
    }
    if (!mmdb_head(w->data, at, &h)) {
        return wrong(w, at, "has no known type, or is cut");
    }
    if (h.type == MMDB_POINTER) {
        *end = h.next;
        if (!mmdb_head(w->data, h.size, &to) || to.type == MMDB_POINTER) {
            return wrong(w, at, "points to no value");
        }
        return walk_pointed(w, h.size, depth + 1);
    }
    if (h.type == MMDB_MAP || h.type == MMDB_ARRAY) {
        return walk_inside(w, &h, depth + 1, end);
    }
    if (!right_size(&h)) {
        return wrong(w, at, "has not its type's size");
    }
    *end = h.next;
    if (h.type == MMDB_BOOL) {
        return true;
    }
    if (w->data.n - h.next < h.size) {
        return wrong(w, at, "is cut");
    }
    w->steps -= h.size / TEXT_STEP < w->steps ? h.size / TEXT_STEP : w->steps;
    if (h.type == MMDB_TEXT &&
        !is_utf8(w->data.p + h.next, w->data.p + h.next + h.size)) {
        return wrong(w, at, "is a text that is not UTF-8");
    }
    *end = h.next + h.size;
    return true;
}

static enum seen seen_at(const struct walk *w, uint32_t at)
{
    return w->seen == NULL ? UNSEEN : (enum seen)(w->seen[at / 4] >> (at % 4 * 2) & 3);
}

static void note(struct walk *w, uint32_t at, enum seen s)
{
    if (w->seen != NULL) {
        w->seen[at / 4] = (uint8_t)((w->seen[at / 4] & ~(3u << (at % 4 * 2))) |
                                    (unsigned)s << (at % 4 * 2));
    }
}

/* A value by its place: it counts its own values. */
static bool walk_pointed(struct walk *w, uint32_t at, unsigned depth)
{
    uint32_t values = w->values, end;
    enum seen seen;

    if (at >= w->data.n) {
        return wrong(w, at, "is behind the end");
    }
    seen = seen_at(w, at);
    if (seen == OPEN) {
        return wrong(w, at, "leads to itself");
    }
    if (seen == GOOD) {
        return true;
    }
    note(w, at, OPEN);
    w->values = 0;
    if (!walk_value(w, at, depth, &end)) {
        return false;
    }
    w->values = values;
    note(w, at, GOOD);
    return true;
}

/* ---- the metadata ---- */

/* Where it begins; NULL: nowhere. The last marker counts. */
static const char *find_metadata(struct str file)
{
    size_t most = METADATA_BYTES + MARKER_BYTES;
    const char *low = file.p + (file.n > most ? file.n - most : 0);

    if (file.n < MARKER_BYTES) {
        return NULL;
    }
    for (const char *p = file.p + file.n - MARKER_BYTES; p >= low; p--) {
        if (memcmp(p, MARKER, MARKER_BYTES) == 0) {
            return p + MARKER_BYTES;
        }
        if (p == file.p) {
            break;
        }
    }
    return NULL;
}

/* The place of a value of the walked map at the begin of w's data; false: it has none. */
static bool find_value(struct walk *w, const char *name, uint32_t *place)
{
    struct mmdb_head map, key;
    uint32_t at;

    (void)mmdb_head(w->data, 0, &map);
    at = map.next;
    for (uint32_t i = 0; i < map.size; i++) {
        w->values = 0;
        w->steps = METADATA_VALUES;
        (void)mmdb_follow(w->data, at, &key);
        if (!walk_value(w, at, 0, place) || !walk_value(w, *place, 0, &at)) {
            return false;
        }
        if (str_eq((struct str){w->data.p + key.next, key.size}, str_of(name))) {
            return true;
        }
    }
    return false;
}

static bool number_of(struct walk *w, const char *name, uint32_t *out)
{
    struct mmdb_head value;
    uint32_t at;

    if (find_value(w, name, &at)) {
        (void)mmdb_follow(w->data, at, &value);
        if (value.type == MMDB_UINT16 || value.type == MMDB_UINT32) {
            *out = big(w->data.p + value.next, value.size);
            return true;
        }
    }
    return err_set(w->e, "its metadata has no number %s", name);
}

/* Whether an array or a map has only texts. The library keeps memory when it finds another
 * value there. */
static bool has_only_texts(struct walk *w, const char *name, enum mmdb_type type)
{
    struct mmdb_head all, value;
    uint32_t at;

    if (!find_value(w, name, &at)) {
        return true;
    }
    (void)mmdb_follow(w->data, at, &all);
    at = all.next;
    for (uint32_t i = 0; all.type == type && i < all.size; i++) {
        w->values = 0;
        w->steps = METADATA_VALUES;
        if (type == MMDB_MAP && !walk_value(w, at, 0, &at)) {
            return false;
        }
        (void)mmdb_follow(w->data, at, &value);
        if (value.type != MMDB_TEXT || !walk_value(w, at, 0, &at)) {
            all.type = MMDB_POINTER;
        }
    }
    return all.type == type || err_set(w->e, "its metadata's %s is no %s of texts",
                                       name, type == MMDB_MAP ? "map" : "array");
}

static bool read_metadata(struct str metadata, struct mmdb_layout *l, struct err *e)
{
    struct walk w = {.data = metadata, .steps = METADATA_VALUES, .e = e};
    uint32_t end, version, major;
    struct mmdb_head h;

    if (!mmdb_head(metadata, 0, &h) || h.type != MMDB_MAP) {
        return err_set(e, "its metadata is no map");
    }
    if (!walk_value(&w, 0, 0, &end)) {
        struct err why = *e;

        return err_set(e, "in its metadata, %.300s", why.text);
    }
    if (!number_of(&w, "node_count", &l->nodes) ||
        !number_of(&w, "record_size", &l->record_bits) ||
        !number_of(&w, "ip_version", &version) ||
        !number_of(&w, "binary_format_major_version", &major) ||
        !has_only_texts(&w, "languages", MMDB_ARRAY) ||
        !has_only_texts(&w, "description", MMDB_MAP)) {
        return false;
    }
    if (major != 2) {
        return err_set(e, "its format is version %u; expected 2", major);
    }
    if (l->record_bits != 24 && l->record_bits != 28 && l->record_bits != 32) {
        return err_set(e, "its records have %u bits; expected 24, 28 or 32",
                       l->record_bits);
    }
    if (version != 4 && version != 6) {
        return err_set(e, "its addresses are of IP version %u; expected 4 or 6",
                       version);
    }
    l->six = version == 6;
    return l->nodes > 0 || err_set(e, "its tree is empty");
}

/* ---- the tree ---- */

uint32_t mmdb_record(const struct mmdb_layout *l, const char *tree, uint32_t node,
                     bool right)
{
    uint32_t bytes = l->record_bits / 4;
    const char *p = tree + (uint64_t)node * bytes;

    if (l->record_bits == 28) {
        uint32_t middle = (unsigned char)p[3];

        return right ? (middle & 15) << 24 | big(p + 4, 3)
                     : (middle >> 4) << 24 | big(p, 3);
    }
    return big(right ? p + bytes / 2 : p, bytes / 2);
}

static bool check_tree(struct walk *w, const struct mmdb_layout *l, const char *tree)
{
    for (uint32_t i = 0; i < l->nodes; i++) {
        for (int right = 0; right < 2; right++) {
            uint32_t r = mmdb_record(l, tree, i, right == 1);

            if (r <= l->nodes) {
                continue;
            }
            if (r - l->nodes < SEPARATOR || r - l->nodes - SEPARATOR >= l->data.n) {
                return err_set(w->e, "node %u of its tree leads out of the file", i);
            }
            w->values = 0;
            if (!walk_pointed(w, r - l->nodes - SEPARATOR, 0)) {
                return false;
            }
        }
    }
    return true;
}

static bool refuse_file(struct str file, struct err *e)
{
    if (file.n >= 2 && memcmp(file.p, "\x1f\x8b", 2) == 0) {
        return err_set(e, "the file is packed with gzip: unpack it first");
    }
    return err_set(e,
                   "the file is no MaxMind database, or is cut: it has no metadata at "
                   "its end");
}

bool mmdb_check(struct str file, struct mmdb_layout *out, struct err *e)
{
    const char *metadata = find_metadata(file);
    struct walk w = {.e = e};
    uint64_t tree;
    bool good;

    if (metadata == NULL) {
        return refuse_file(file, e);
    }
    if (!read_metadata((struct str){metadata, (size_t)(file.p + file.n - metadata)},
                       out, e)) {
        return false;
    }
    tree = (uint64_t)out->nodes * (out->record_bits / 4);
    if (tree + SEPARATOR > (uint64_t)(metadata - MARKER_BYTES - file.p)) {
        return err_set(e,
                       "its metadata tells of %u nodes, which are more than the file",
                       out->nodes);
    }
    out->data.p = file.p + tree + SEPARATOR;
    out->data.n = (size_t)(metadata - MARKER_BYTES - out->data.p);
    if (out->data.n > UINT32_MAX / 2) {
        return err_set(e, "its data is larger than 2 GiB");
    }
    w.data = out->data;
    w.steps = STEPS_LEAST + (uint64_t)STEPS_A_BYTE * out->data.n;
    w.seen = mem_zalloc(out->data.n / 4 + 1);
    good = check_tree(&w, out, file.p);
    free(w.seen);
    return good;
}
