#include "agents/agent_reader.h"

#include <stdlib.h>
#include <string.h>

#include "agents/agent_cache.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { VERSION_BYTES_MAX = AGENT_PARTS_MAX * (AGENT_VALUE_BYTES_MAX + 1) };

struct agent_reader {
    const struct agents *agents;
    struct matcher *matcher;
    struct agent_cache *cache;
    uint64_t *mask; /* of the text in hand, if is_scanned */
    uint64_t skipped;
    uint32_t skipped_line;
    /* The last text as it was given, cut, and its entry in the cache; NULL: it has none,
     * and its values are in `values`. */
    char given[AGENT_TEXT_BYTES_MAX];
    size_t given_n;
    bool is_given, is_scanned;
    struct agent_entry *entry;
    char mended[AGENT_TEXT_BYTES_MAX]; /* the last text as UTF-8 */
    struct str text;                   /* of given or mended */
    uint8_t done;                      /* sections of values */
    struct agent_values values[AGENT_SECTIONS];
    char rooms[AGENT_SECTIONS][AGENT_ROOM];
    char version[VERSION_BYTES_MAX];
};

struct agent_reader *agent_reader_new(const struct agents *a)
{
    struct agent_reader *r = mem_zalloc(sizeof *r);

    r->agents = a;
    r->matcher = matcher_new();
    r->cache = agent_cache_new();
    r->mask = mem_zalloc(agents_words(a) * sizeof *r->mask);
    return r;
}

void agent_reader_free(struct agent_reader *r)
{
    if (r != NULL) {
        matcher_free(r->matcher);
        agent_cache_free(r->cache);
        free(r->mask);
        free(r);
    }
}

uint64_t agent_reader_skipped(const struct agent_reader *r, uint32_t *line)
{
    *line = r->skipped_line;
    return r->skipped;
}

/* ---- the text ------------------------------------------------------------------------- */

static struct str cut(struct str text)
{
    if (text.n > AGENT_TEXT_BYTES_MAX) {
        text.n = AGENT_TEXT_BYTES_MAX;
        while (text.n > 0 && ((unsigned char)text.p[text.n] & 0xC0) == 0x80) {
            text.n--;
        }
    }
    return text;
}

/* The text as UTF-8: where it is not, in r->mended, which may be cut by that. */
static struct str mend(struct agent_reader *r, struct str text)
{
    static const char replacement[] = "\xEF\xBF\xBD";
    const char *p = text.p, *end = text.p + text.n;
    size_t n = 0;

    while (p < end && (unsigned char)*p < 0x80) {
        p++;
    }
    for (; p < end;) {
        unsigned length = (unsigned char)*p < 0x80 ? 1 : utf8_char(p, end);

        if (length == 0) {
            break;
        }
        p += length;
    }
    if (p == end) {
        return text;
    }
    for (p = text.p; p < end;) {
        unsigned length = (unsigned char)*p < 0x80 ? 1 : utf8_char(p, end);
        const char *from = length == 0 ? replacement : p;
        unsigned m = length == 0 ? 3 : length;

        if (n + m > sizeof r->mended) {
            break;
        }
        memcpy(r->mended + n, from, m);
        n += m;
        p += length == 0 ? 1 : length;
    }
    return (struct str){r->mended, n};
}

/* The text in hand becomes this one. */
static enum agent_cost take_text(struct agent_reader *r, struct str given)
{
    uint64_t hash;

    given = cut(given);
    if (r->is_given && str_eq((struct str){r->given, r->given_n}, given)) {
        return AGENT_HELD;
    }
    if (given.n > 0) {
        memcpy(r->given, given.p, given.n);
    }
    r->given_n = given.n;
    r->is_given = true;
    r->is_scanned = false;
    r->done = 0;
    r->text = mend(r, (struct str){r->given, given.n});
    hash = agent_cache_hash(r->cache, r->text);
    r->entry = agent_cache_find(r->cache, r->text, hash);
    if (r->entry != NULL) {
        return AGENT_KNOWN;
    }
    r->entry = agent_cache_keep(r->cache, r->text, hash);
    return AGENT_KNOWN;
}

/* ---- values ------------------------------------------------------------------------------ */

/* A section's values into the entry; one without room has none. */
static void store(struct agent_reader *r, enum agent_section section)
{
    struct agent_entry *x = r->entry;
    const struct agent_values *v = &r->values[section];
    size_t need = 0;

    for (uint32_t i = 0; i < AGENT_PARTS_MAX; i++) {
        need += v->parts[i].n;
    }
    if (x == NULL || need > (size_t)(AGENT_ENTRY_ROOM - x->used)) {
        return;
    }
    for (uint32_t i = 0; i < AGENT_PARTS_MAX; i++) {
        x->at[section][i] = x->used;
        x->n[section][i] = (uint16_t)v->parts[i].n;
        if (v->parts[i].n > 0) {
            memcpy(x->room + x->used, v->parts[i].p, v->parts[i].n);
            x->used = (uint16_t)(x->used + v->parts[i].n);
        }
    }
    x->done = (uint8_t)(x->done | 1u << section);
}

static void parse(struct agent_reader *r, enum agent_section section)
{
    const struct agent_job job = {r->text, r->mask, r->matcher, r->rooms[section]};
    uint32_t skipped, line;

    if (!r->is_scanned) {
        agents_sieve(r->agents, r->text, r->mask);
        r->is_scanned = true;
    }
    if (!agents_parse(r->agents, section, &job, &r->values[section], &skipped, &line)) {
        r->values[section].parts[0] = STR("Other");
    }
    if (skipped > 0) {
        r->skipped += skipped;
        r->skipped_line = line;
    }
    r->done = (uint8_t)(r->done | 1u << section);
    store(r, section);
}

static struct str part_of(const struct agent_reader *r, enum agent_section section,
                          uint32_t i)
{
    const struct agent_entry *x = r->entry;

    if ((r->done & 1u << section) != 0) {
        return r->values[section].parts[i];
    }
    return x->n[section][i] == 0
               ? (struct str){NULL, 0}
               : (struct str){x->room + x->at[section][i], x->n[section][i]};
}

static struct str version_of(struct agent_reader *r, enum agent_section section)
{
    size_t n = 0;

    for (uint32_t i = 1; i < AGENT_PARTS_MAX; i++) {
        struct str v = part_of(r, section, i);

        if (v.n == 0) {
            break;
        }
        if (n > 0) {
            r->version[n++] = '.';
        }
        memcpy(r->version + n, v.p, v.n);
        n += v.n;
    }
    return n == 0 ? (struct str){NULL, 0} : (struct str){r->version, n};
}

enum agent_cost agent_reader_find(struct agent_reader *r, struct str text,
                                  enum agent_part part, struct str *out)
{
    static const enum agent_part firsts[] = {AGENT_BROWSER_FAMILY, AGENT_OS_FAMILY,
                                             AGENT_DEVICE_FAMILY};
    enum agent_section section = part >= AGENT_DEVICE_FAMILY ? AGENT_DEVICE
                                 : part >= AGENT_OS_FAMILY   ? AGENT_OS
                                                             : AGENT_BROWSER;
    enum agent_cost cost = take_text(r, text);
    uint8_t done = r->entry != NULL ? r->entry->done | r->done : r->done;

    if ((done & 1u << section) == 0) {
        parse(r, section);
        cost = AGENT_PARSED;
    }
    *out = part == AGENT_BROWSER_VERSION || part == AGENT_OS_VERSION
               ? version_of(r, section)
               : part_of(r, section, (uint32_t)(part - firsts[section]));
    return cost;
}
