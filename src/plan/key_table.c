/* SHA-256 by the functions of OpenSSL 1.1: EVP's allocate at each digest. */
#define OPENSSL_API_COMPAT 0x10100000L
#include "plan/key_table.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "plan/instant.h"

enum { HEX_DIGITS = 2 * KEY_DIGEST_BYTES };

static void digest(struct str text, unsigned char out[KEY_DIGEST_BYTES])
{
    SHA256_CTX c;

    (void)SHA256_Init(&c);
    (void)SHA256_Update(&c, text.p, text.n);
    (void)SHA256_Final(out, &c);
}

void key_hex(struct str text, char out[KEY_HEX_BYTES])
{
    unsigned char bytes[KEY_DIGEST_BYTES];

    digest(text, bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
}

/* ---- the file ---- */

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool read_hex(struct str digits, unsigned char out[KEY_DIGEST_BYTES])
{
    for (uint32_t i = 0; i < KEY_DIGEST_BYTES; i++) {
        int high = hex(digits.p[2 * i]), low = hex(digits.p[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

/* The digits become the bytes that they say, in place. */
static const char *pack(struct str *cell)
{
    unsigned char bytes[KEY_DIGEST_BYTES], empty[KEY_DIGEST_BYTES];

    if (cell->n != HEX_DIGITS) {
        return "the key's column has no SHA-256: expected 64 hex digits, as sluice key "
               "prints them; a key itself must not be in the file";
    }
    if (!read_hex(*cell, bytes)) {
        return "the key's column has no SHA-256: one of its 64 characters is no hex "
               "digit";
    }
    digest(STR(""), empty);
    if (memcmp(bytes, empty, sizeof bytes) == 0) {
        return "this is the SHA-256 of an empty text: no key was given to the program "
               "that made it";
    }
    memcpy((char *)cell->p, bytes, sizeof bytes); /* the reader's own buffer */
    cell->n = sizeof bytes;
    return NULL;
}

/* A day without a time is over at its first moment. */
static bool expiry(struct str cell, int64_t *ms)
{
    return instant_text(cell, INSTANT_RFC3339 | INSTANT_DATE, INSTANT_MS, ms);
}

static bool is_one_of(struct str cell, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(cell, str_of(words[i]))) {
            return true;
        }
    }
    return false;
}

static bool is_no(struct str cell)
{
    static const char *const words[] = {"", "0", "false", "no"};

    return is_one_of(cell, words, N_ELEMS(words));
}

static bool is_yes(struct str cell)
{
    static const char *const words[] = {"1", "true", "yes"};

    return is_one_of(cell, words, N_ELEMS(words));
}

static const char *look_at_row(void *arg, struct str *cells, uint32_t n)
{
    const struct key_rules *r = arg;
    int64_t ms;

    (void)n;
    if (r->expires.n > 0 && cells[r->at_expires].n > 0 &&
        !expiry(cells[r->at_expires], &ms)) {
        return "the time at which the key expires is no time such as "
               "2026-12-31T00:00:00Z, and no day such as 2026-12-31";
    }
    if (r->disabled.n > 0 && !is_no(cells[r->at_disabled]) &&
        !is_yes(cells[r->at_disabled])) {
        return "the column that disables a key is none of true, false, yes, no, 1, 0 "
               "and empty";
    }
    return pack(&cells[r->at_key]);
}

static bool find(struct str name, const struct str *names, uint32_t n, uint32_t *at)
{
    for (uint32_t i = 0; i < n; i++) {
        if (str_eq(names[i], name)) {
            *at = i;
            return true;
        }
    }
    return name.n == 0;
}

static const char *look_at_names(void *arg, const struct str *names, uint32_t n)
{
    struct key_rules *r = arg;

    if (!find(r->key, names, n, &r->at_key)) {
        return "the file has no column for the keys";
    }
    if (!find(r->expires, names, n, &r->at_expires)) {
        return "the file has no column of the name that expires gives";
    }
    if (!find(r->disabled, names, n, &r->at_disabled)) {
        return "the file has no column of the name that disabled gives";
    }
    return NULL;
}

struct csv_rules key_rules(struct key_rules *r)
{
    return (struct csv_rules){
        .names = look_at_names, .row = look_at_row, .arg = r, .secret = true};
}

/* ---- a request ---- */

static enum key_state state_of(const struct key_plan *k, const struct csv_table *rows,
                               int32_t row, int64_t now_ms)
{
    struct str disabled = csv_table_cell(rows, row, k->disabled);
    struct str expires = csv_table_cell(rows, row, k->expires);
    int64_t ms;

    if (k->disabled >= 0 && !is_no(disabled)) {
        return KEY_DISABLED;
    }
    if (k->expires >= 0 && expires.n > 0 && (!expiry(expires, &ms) || now_ms >= ms)) {
        return KEY_EXPIRED;
    }
    return KEY_GOOD;
}

static enum key_state find_digest(const struct key_plan *k,
                                  const struct csv_table *rows,
                                  const unsigned char bytes[KEY_DIGEST_BYTES],
                                  int64_t now_ms, int32_t *row)
{
    enum key_state state;

    *row =
        csv_table_secret_row(rows, (struct str){(const char *)bytes, KEY_DIGEST_BYTES});
    if (*row < 0) {
        return *row == TABLE_DAMAGED ? KEY_UNREADABLE : KEY_UNKNOWN;
    }
    state = state_of(k, rows, *row, now_ms);
    /* What was read of a file that is cut meanwhile is zeros. */
    return csv_table_damaged(rows) ? KEY_UNREADABLE : state;
}

enum key_state key_table_find(const struct key_plan *k, const struct csv_table *rows,
                              struct str text, int64_t now_ms, int32_t *row)
{
    unsigned char bytes[KEY_DIGEST_BYTES];

    *row = TABLE_NO_ROW;
    if (text.n == 0 || text.n > KEY_TEXT_MAX) {
        return KEY_UNKNOWN;
    }
    digest(text, bytes);
    return find_digest(k, rows, bytes, now_ms, row);
}

enum key_state key_table_find_hex(const struct key_plan *k,
                                  const struct csv_table *rows, struct str digits,
                                  int64_t now_ms, int32_t *row)
{
    unsigned char bytes[KEY_DIGEST_BYTES];

    *row = TABLE_NO_ROW;
    if (digits.n != HEX_DIGITS || !read_hex(digits, bytes)) {
        return KEY_UNKNOWN;
    }
    return find_digest(k, rows, bytes, now_ms, row);
}
