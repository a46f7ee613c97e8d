/*
 * tables - a lookup table of many rows: how long it takes to build, to open again, and to
 * find a row of it.
 *
 *   tables [ROWS]    10,000,000 rows of about 34 bytes; files lie in $TMPDIR or /tmp
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "tables/open.h"

enum { LOOKUPS = 2000000, ROUNDS = 5, KEY = 16 };

static uint64_t key_of(uint64_t i)
{
    return i * 0x9E3779B97F4A7C15u;
}

static void write_source(const char *path, uint64_t rows)
{
    FILE *f = fopen(path, "w");

    (void)fputs("key,campaign,country\n", f);
    for (uint64_t i = 0; i < rows; i++) {
        (void)fprintf(f, "%016lx,campaign_%lu,DE\n", (unsigned long)key_of(i),
                      (unsigned long)(i % 5000));
    }
    (void)fclose(f);
}

static void tell(void *arg, uint32_t line, const char *text)
{
    (void)arg;
    (void)fprintf(stderr, "%u: %s\n", line, text);
}

static struct csv_table *open_table(const char *what, const char *dir, const char *csv)
{
    const struct table_source source = {.path = csv, .delimiter = ',', .dir = dir};
    uint64_t t = clock_mono_ns();
    struct err e = {""};
    struct stat st;
    struct csv_table *l = table_open(&source, tell, NULL, &st, &e);

    if (l == NULL) {
        (void)fprintf(stderr, "%s\n", e.text);
        exit(1);
    }
    (void)printf("%-28s %9.1f ms\n", what, (double)(clock_mono_ns() - t) / 1e6);
    return l;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void measure(const struct csv_table *l, const char *what, uint64_t from,
                    uint64_t among)
{
    static char keys[LOOKUPS][KEY + 1];
    double ns[ROUNDS];
    uint64_t x = 88172645463325252u, found = 0;

    for (int i = 0; i < LOOKUPS; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (void)snprintf(keys[i], sizeof keys[i], "%016lx",
                       (unsigned long)key_of(from + x % among));
    }
    for (int r = 0; r < ROUNDS; r++) {
        uint64_t t = clock_thread_ns();

        for (int i = 0; i < LOOKUPS; i++) {
            int32_t row = csv_table_row(l, (struct str){keys[i], KEY});

            found += csv_table_cell(l, row, 1).n > 0;
        }
        ns[r] = (double)(clock_thread_ns() - t) / LOOKUPS;
    }
    qsort(ns, ROUNDS, sizeof *ns, by_value);
    (void)printf("%-28s %9.1f ns, %lu found\n", what, ns[ROUNDS / 2],
                 (unsigned long)found / ROUNDS);
}

static bool keep_none(void *arg, const char *id)
{
    (void)arg;
    (void)id;
    return false;
}

int main(int argc, char **argv)
{
    uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    const char *tmp = getenv("TMPDIR");
    char dir[200], csv[250];
    struct csv_table *a, *b;
    struct stat st;

    (void)snprintf(dir, sizeof dir, "%s/tables-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    (void)snprintf(csv, sizeof csv, "%s/big.csv", dir);
    write_source(csv, rows);
    (void)stat(csv, &st);
    (void)printf("%-28s %9.1f bytes a row\n", "source",
                 (double)st.st_size / (double)rows);
    a = open_table("build", dir, csv);
    (void)printf("%-28s %9.1f bytes a row\n", "image",
                 (double)csv_table_head(a)->bytes / (double)rows);
    b = open_table("open what is mapped", dir, csv);
    (void)printf("%-28s %9s\n", "both are one mapping", a == b ? "yes" : "no");
    csv_table_unref(a);
    csv_table_unref(b);
    a = open_table("open what is built", dir, csv);
    measure(a, "find one of 1,000 keys", 0, 1000);
    measure(a, "find one of all keys", 0, rows);
    measure(a, "keys that are not there", rows, rows);
    csv_table_unref(a);
    tables_forget(dir, keep_none, NULL);
    (void)unlink(csv);
    return rmdir(dir);
}
