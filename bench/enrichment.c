/*
 * enrichment - what a look-up costs by a key or an address: the first decile of many
 * rounds of 1000 look-ups of random keys that are there, each with the value that it gives.
 *
 *   build/bench/enrichment [NETWORKS]
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "plan/cidr_table.h"
#include "plan/mmdb.h"
#include "tables/csv_table.h"
#include "tests/tools/mmdb_maker.h"

enum { ROUNDS = 1000, LOOKUPS = 1000 };

static char (*addresses)[40];
static uint32_t n_networks;
static char room[MMDB_JSON_MAX];
static volatile size_t sum; /* keeps the compiler from leaving a look-up out */

static void fails(void *arg, uint32_t line, const char *text)
{
    (void)arg;
    (void)fprintf(stderr, "%u: %s\n", line, text);
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static uint64_t mixed(uint64_t x)
{
    x = (x ^ x >> 31) * 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 29) * 0xBF58476D1CE4E5B9u;
    return x ^ x >> 32;
}

/* Network i: a /24 of IPv4, a /48 of IPv6. */
static void write_network(bool six, uint32_t i, char out[40])
{
    uint64_t x = mixed(i + 1);

    if (six) {
        (void)snprintf(out, 40, "2%03x:%x:%x::/48", (unsigned)(x & 0x3f), i >> 8,
                       (i & 255) << 8 | (unsigned)(x >> 8 & 255));
    } else {
        (void)snprintf(out, 40, "%u.%u.%u.0/24", (i >> 16) + 1, i >> 8 & 255, i & 255);
    }
}

static struct str write_csv(bool six)
{
    char *text = malloc(64ull * n_networks + 64), *p = text, network[40];

    p += sprintf(p, "network,value\n");
    for (uint32_t i = 0; i < n_networks; i++) {
        write_network(six, i, network);
        p += sprintf(p, "%s,value-%u\n", network, i % 1000);
    }
    return (struct str){text, (size_t)(p - text)};
}

/* Records as those of GeoLite2-City: 1000 cities. */
static struct mmdb *make_mmdb(bool six)
{
    uint32_t places[1000];
    struct maker m;
    struct str file;
    struct mmdb *db;
    struct err e;
    char text[40];

    maker_init(&m, true, 28);
    for (uint32_t i = 0; i < N_ELEMS(places); i++) {
        places[i] = maker_head(&m, 7, 3);
        (void)maker_text(&m, "city");
        (void)maker_head(&m, 7, 2);
        (void)maker_text(&m, "geoname_id");
        (void)maker_whole(&m, 6, i, 4);
        (void)maker_text(&m, "names");
        (void)maker_head(&m, 7, 2);
        (void)maker_text(&m, "de");
        (void)maker_text(&m, "Name auf Deutsch");
        (void)maker_text(&m, "en");
        (void)snprintf(text, sizeof text, "City number %u", i);
        (void)maker_text(&m, text);
        (void)maker_text(&m, "country");
        (void)maker_head(&m, 7, 2);
        (void)maker_text(&m, "geoname_id");
        (void)maker_whole(&m, 6, i, 4);
        (void)maker_text(&m, "iso_code");
        (void)maker_text(&m, "DE");
        (void)maker_text(&m, "location");
        (void)maker_head(&m, 7, 2);
        (void)maker_text(&m, "latitude");
        (void)maker_double(&m, 52.5);
        (void)maker_text(&m, "longitude");
        (void)maker_double(&m, 13.4);
    }
    for (uint32_t i = 0; i < n_networks; i++) {
        write_network(six, i, text);
        maker_network(&m, text, places[i % N_ELEMS(places)]);
    }
    file = maker_file(&m);
    db = mmdb_new(file, &e);
    if (db == NULL) {
        (void)fprintf(stderr, "%s\n", e.text);
        exit(1);
    }
    free((char *)file.p);
    maker_fini(&m);
    return db;
}

struct subject {
    const char *name;
    const struct csv_table *rows;
    const struct cidr_table *networks;
    const struct mmdb *db;
    const char *path;
};

static size_t look_up(const struct subject *s, const struct path *path, const char *key)
{
    struct mmdb_value v = {.text = {NULL, 0}};
    struct address a;

    if (s->db != NULL) {
        bool found =
            address_read(str_of(key), &a) && mmdb_find(s->db, &a, path, room, &v);

        return v.text.n + found;
    }
    if (s->networks != NULL) {
        int32_t row =
            address_read(str_of(key), &a) ? cidr_table_find(s->networks, &a) : -1;

        return csv_table_cell(s->rows, row, 1).n;
    }
    return csv_table_cell(s->rows, csv_table_row(s->rows, str_of(key)), 1).n;
}

static void measure(const struct subject *s, bool six)
{
    static uint64_t ns[ROUNDS];
    struct path path;

    if (s->path != NULL && !path_parse(str_of(s->path), &path)) {
        exit(1);
    }
    for (uint32_t i = 0; i < LOOKUPS * 10; i++) {
        char *key = addresses[i];

        write_network(six, (uint32_t)(mixed(i) % n_networks), key);
        if (s->networks != NULL || s->db != NULL) {
            char *slash = strchr(key, '/');

            slash[0] = six ? '1' : '\0';
            slash[1] = '\0';
            if (!six) {
                slash[-1] = '9';
            }
        }
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t from = clock_thread_ns();

        for (unsigned k = 0; k < LOOKUPS; k++) {
            size_t n = look_up(s, &path, addresses[i % 10 * LOOKUPS + k]);

            if (n == 0) {
                (void)fprintf(stderr, "%s: nothing for %s\n", s->name,
                              addresses[i % 10 * LOOKUPS + k]);
                exit(1);
            }
            sum += n;
        }
        ns[i] = clock_thread_ns() - from;
    }
    qsort(ns, ROUNDS, sizeof *ns, by_value);
    (void)printf("# enrichment: %s, %s, %u networks: %.0f ns\n", s->name,
                 six ? "IPv6" : "IPv4", n_networks, (double)ns[ROUNDS / 10] / LOOKUPS);
}

int main(int argc, char **argv)
{
    n_networks = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100000;
    addresses = calloc(LOOKUPS * 10, sizeof *addresses);
    for (int six = 0; six < 2; six++) {
        struct str csv = write_csv(six == 1);
        struct csv_table *rows =
            csv_table_new(csv, (struct str){NULL, 0}, ',', fails, NULL);
        uint64_t from = clock_mono_ns();
        struct cidr_table *networks = cidr_table_new(rows, fails, NULL);
        uint64_t made = clock_mono_ns() - from;
        struct mmdb *db = make_mmdb(six == 1);
        const struct subject subjects[] = {
            {.name = "lookup, a row by its key", .rows = rows},
            {.name = "cidr", .rows = rows, .networks = networks},
            {.name = "mmdb, country.iso_code", .db = db, .path = "country.iso_code"},
            {.name = "mmdb, city.names.en", .db = db, .path = "city.names.en"},
            {.name = "mmdb, location as an object", .db = db, .path = "location"}};

        for (size_t i = 0; i < N_ELEMS(subjects); i++) {
            measure(&subjects[i], six == 1);
        }
        (void)printf("# enrichment: networks of a cidr made in %.0f ms\n",
                     (double)made / 1e6);
        mmdb_free(db);
        cidr_table_free(networks);
        csv_table_unref(rows);
        free((char *)csv.p);
    }
    free(addresses);
    return 0;
}
