/* Any bytes as a MaxMind database, and as the values of one whose tree and metadata are
 * good: refused, or every look-up stays inside of it, ends soon and gives what an event
 * can hold. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "decode/quote.h"
#include "decode/scan.h"
#include "plan/mmdb.h"
#include "tools/mmdb_maker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char room[MMDB_JSON_MAX + SCAN_PAD];

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static void look(const struct mmdb *db, const char *ip, const char *path)
{
    static const struct scan_limits limits = {1, 128};
    struct mmdb_value v;
    struct address a;
    struct path at;
    struct scan_error e;

    at.n = 0;
    check(path[0] == '\0' || path_parse(str_of(path), &at));
    check(address_read(str_of(ip), &a));
    if (!mmdb_find(db, &a, &at, room, &v)) {
        return;
    }
    if (v.kind == SLOT_STRING) {
        check(quote_is_utf8(v.text));
    } else if (v.kind == SLOT_OBJECT || v.kind == SLOT_ARRAY) {
        enum scan_result r;

        check(v.text.n <= MMDB_JSON_MAX);
        memset(room + v.text.n, 0, SCAN_PAD);
        r = scan_value(&limits, v.text.p, v.text.n, &e);
        check(r == SCAN_OK || r == SCAN_TOO_WIDE);
    } else {
        check(v.kind == SLOT_NUMBER || v.kind == SLOT_TRUE || v.kind == SLOT_FALSE);
    }
}

static void look_everywhere(const struct mmdb *db)
{
    static const char *addresses[] = {"192.0.2.1",   "198.51.100.7", "2001:db8::1",
                                      "0.0.0.0",     "::",           "255.255.255.255",
                                      "ffff:ffff::", "10.0.0.0"};
    static const char *paths[] = {"",      "a",    "a.b", "[1]",
                                  "[2].a", "a[1]", "\\[", "[300]"};

    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        for (size_t k = 0; k < sizeof paths / sizeof *paths; k++) {
            look(db, addresses[i], paths[k]);
        }
    }
}

/* The input is the values; some networks lead to its first places. */
static struct str with_tree(const uint8_t *data, size_t n)
{
    static const unsigned bits[] = {24, 28, 32, 24};
    struct maker m;
    struct str file;

    maker_init(&m, (data[0] & 4) != 0, bits[data[0] & 3]);
    maker_bytes(&m, data + 1, n - 1);
    maker_network(&m, "192.0.2.0/24", 0);
    maker_network(&m, "198.51.100.0/24", (uint32_t)(n / 2));
    maker_network(&m, "10.0.0.0/8", data[0] >> 3);
    if (m.six) {
        maker_network(&m, "2001:db8::/32", 1);
    }
    file = maker_file(&m);
    maker_fini(&m);
    return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str file;
    struct mmdb *db;
    struct err e = {""};

    if (n < 2) {
        return 0;
    }
    if (data[0] == 0xff) {
        char *copy = malloc(n - 1);

        memcpy(copy, data + 1, n - 1);
        file = (struct str){copy, n - 1};
    } else {
        file = with_tree(data, n);
    }
    db = mmdb_new(file, &e);
    free((char *)file.p);
    check((db == NULL) == (e.text[0] != '\0'));
    if (db != NULL) {
        look_everywhere(db);
        mmdb_free(db);
    }
    return 0;
}
