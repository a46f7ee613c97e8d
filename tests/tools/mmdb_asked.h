/*
 * mmdb_asked - a database that the maker has made, opened and asked, for unit tests.
 */
#pragma once

#include "base/err.h"
#include "plan/mmdb.h"
#include "tools/mmdb_maker.h"

static char asked_room[MMDB_JSON_MAX];

static inline bool find(const struct mmdb *m, const char *ip, const char *path,
                        struct mmdb_value *v)
{
    struct address a;
    struct path at;

    at.n = 0;
    return (path[0] == '\0' || path_parse(str_of(path), &at)) &&
           address_read(str_of(ip), &a) && mmdb_find(m, &a, &at, asked_room, v);
}

static inline bool has(const struct mmdb *m, const char *ip, const char *path)
{
    struct mmdb_value v;

    return find(m, ip, path, &v);
}

/* The maker's file; NULL and *e: refused. */
static inline struct mmdb *opened(struct maker *m, struct err *e)
{
    struct str file = maker_file(m);
    struct mmdb *db = mmdb_new(file, e);

    free((char *)file.p);
    return db;
}

/* { "a": { "b": TEXT } } */
static inline uint32_t record(struct maker *m, const char *text)
{
    uint32_t at = maker_head(m, 7, 1);

    (void)maker_text(m, "a");
    (void)maker_head(m, 7, 1);
    (void)maker_text(m, "b");
    (void)maker_text(m, text);
    return at;
}
