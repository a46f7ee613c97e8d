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

#include "table_timing.h"

enum { LOOKUPS = 2000000, KEY = 16 };

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

static struct csv_table *open_table(const char *what, const char *dir, const char *csv)
{
    const struct table_source source = {.path = csv, .delimiter = ',', .dir = dir};

    return timing_open(what, &source);
}

static void measure(const struct csv_table *l, const char *what, uint64_t from,
                    uint64_t among)
{
    static char keys[LOOKUPS][KEY + 1];
    double ns[TIMING_ROUNDS];
    uint64_t x = 88172645463325252u, found = 0;

    for (int i = 0; i < LOOKUPS; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "%016lx",
                       (unsigned long)key_of(from + timing_next(&x) % among));
    }
    for (int r = 0; r < TIMING_ROUNDS; r++) {
        uint64_t t = clock_thread_ns();

        for (int i = 0; i < LOOKUPS; i++) {
            int32_t row = csv_table_row(l, (struct str){keys[i], KEY});

            found += csv_table_cell(l, row, 1).n > 0;
        }
        ns[r] = (double)(clock_thread_ns() - t) / LOOKUPS;
    }
    timing_show(what, ns, found);
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
    tables_forget(dir, timing_keep_none, NULL);
    (void)unlink(csv);
    return rmdir(dir);
}
