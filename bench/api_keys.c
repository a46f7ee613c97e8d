/*
 * api_keys - a file of API keys: its bytes a key, in memory and on disk, and what finding one
 * costs a request.
 *
 *   api_keys [ROWS]    1,000,000 keys with an app, a plan and an empty expiry; files lie
 *                      in $TMPDIR or /tmp
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "plan/key_table.h"

#include "table_timing.h"

enum { LOOKUPS = 500000, KEY = 43 };

/* As long as those that sluice key makes. */
static void key_of(uint64_t i, char out[KEY + 1])
{
    (void)snprintf(out, KEY + 1, "%043lu", (unsigned long)i);
}

static void write_source(const char *path, uint64_t rows)
{
    char key[KEY + 1], hex[KEY_HEX_BYTES];
    FILE *f = fopen(path, "w");

    (void)fputs("sha256,app,plan,until\n", f);
    for (uint64_t i = 0; i < rows; i++) {
        key_of(i, key);
        key_hex(str_of(key), hex);
        (void)fprintf(f, "%s,app%lu,%s,\n", hex, (unsigned long)(i % 5000),
                      i % 3 == 0 ? "paid" : "free");
    }
    (void)fclose(f);
}

/* Of this process, in bytes: anonymous memory, not the mapped file. */
static double heap(void)
{
    char line[200];
    FILE *f = fopen("/proc/self/status", "r");
    unsigned long kib = 0;

    while (fgets(line, sizeof line, f) != NULL) {
        (void)sscanf(line, "RssAnon: %lu", &kib);
    }
    (void)fclose(f);
    return (double)kib * 1024;
}

static struct csv_table *open_table(const char *what, const char *dir, const char *csv)
{
    struct key_rules keys = {.key = STR("sha256"), .expires = STR("until")};
    const struct csv_rules rules = key_rules(&keys);
    const struct table_source source = {.path = csv,
                                        .key = STR("sha256"),
                                        .delimiter = ',',
                                        .rules = &rules,
                                        .rules_id = STR("bench"),
                                        .dir = dir};

    return timing_open(what, &source);
}

static void measure(const struct csv_table *l, const char *what, uint64_t from,
                    uint64_t among)
{
    static char keys[LOOKUPS][KEY + 1];
    const struct key_plan plan = {.expires = 3, .disabled = -1, .label = -1};
    double ns[TIMING_ROUNDS];
    uint64_t x = 88172645463325252u, found = 0;

    for (int i = 0; i < LOOKUPS; i++) {
        key_of(from + timing_next(&x) % among, keys[i]);
    }
    for (int r = 0; r < TIMING_ROUNDS; r++) {
        uint64_t t = clock_thread_ns();

        for (int i = 0; i < LOOKUPS; i++) {
            int32_t row;

            found += key_table_find(&plan, l, (struct str){keys[i], KEY}, 0, &row) ==
                     KEY_GOOD;
        }
        ns[r] = (double)(clock_thread_ns() - t) / LOOKUPS;
    }
    timing_show(what, ns, found);
}

int main(int argc, char **argv)
{
    uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    const char *tmp = getenv("TMPDIR");
    char dir[200], csv[250];
    struct csv_table *l;
    struct stat st;
    double before;

    (void)snprintf(dir, sizeof dir, "%s/keys-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    (void)snprintf(csv, sizeof csv, "%s/keys.csv", dir);
    write_source(csv, rows);
    (void)stat(csv, &st);
    (void)printf("%-28s %9.1f bytes a key\n", "source",
                 (double)st.st_size / (double)rows);
    l = open_table("build", dir, csv);
    (void)printf("%-28s %9.1f bytes a key\n", "image",
                 (double)csv_table_head(l)->bytes / (double)rows);
    csv_table_unref(l);
    before = heap();
    l = open_table("open what is built", dir, csv);
    (void)printf("%-28s %9.1f bytes a key\n", "memory besides the image",
                 (heap() - before) / (double)rows);
    measure(l, "find one of 1,000 keys", 0, 1000);
    measure(l, "find one of all keys", 0, rows);
    measure(l, "keys that are not there", rows, rows);
    csv_table_unref(l);
    tables_forget(dir, timing_keep_none, NULL);
    (void)unlink(csv);
    return rmdir(dir);
}
