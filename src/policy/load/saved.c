/*
 * A snapshot's texts as one file:
 *
 *   sluice-policy 1\n
 *   (path bytes) (text bytes)\n path \n text \n   for each of its files
 *   table (path bytes) (key bytes) (delimiter) (id)\n path \n key \n
 *                                                 for each table that is built
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/mem.h"
#include "policy/load/internal.h"
#include "tables/open.h"

static const char HEAD[] = "sluice-policy 1\n";
enum { FILES_MAX = 4096, BYTES_MAX = DATABASE_BYTES_MAX };

static bool write_files(FILE *f, const struct policy *p)
{
    (void)fputs(HEAD, f);
    for (uint32_t i = 0; i < p->n_files; i++) {
        const struct snapshot_file *x = &p->files[i];

        (void)fprintf(f, "%zu %zu\n%s\n", strlen(x->path), x->n, x->path);
        (void)fwrite(x->text, 1, x->n, f);
        (void)fputc('\n', f);
    }
    for (uint32_t i = 0; i < p->n_tables; i++) {
        const struct table *t = &p->tables[i];
        char id[TABLE_ID_HEX + 1];

        if (t->large) {
            table_id_hex(csv_table_head(t->lookup)->id, id);
            (void)fprintf(f, "table %zu %zu %d %s\n%s\n%s\n", strlen(t->path),
                          strlen(t->key), t->delimiter, id, t->path, t->key);
        }
    }
    return fflush(f) == 0 && ferror(f) == 0 && fsync(fileno(f)) == 0;
}

bool policy_save(const struct policy *p, const char *path, struct err *e)
{
    char next[PATH_MAX];
    bool ok;
    FILE *f;
    int fd;

    (void)snprintf(next, sizeof next, "%s.new", path);
    /* It has the text of the files, and these may be readable for one user only. */
    fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    f = fd < 0 || fchmod(fd, 0600) != 0 ? NULL : fdopen(fd, "wb");
    if (f == NULL) {
        ok = err_errno(e, errno, "%s", next);
        if (fd >= 0) {
            (void)close(fd);
        }
        return ok;
    }
    ok = write_files(f, p) || err_errno(e, errno, "%s", next);
    (void)fclose(f);
    if (ok && rename(next, path) != 0) {
        ok = err_errno(e, errno, "%s", path);
    }
    return ok && folder_sync_of(path, e);
}

/* NULL: the file ends before n bytes and their newline do. */
static char *read_text(FILE *f, size_t n)
{
    char *text = n > BYTES_MAX ? NULL : mem_alloc(n + 1);

    if (text != NULL && (fread(text, 1, n, f) != n || fgetc(f) != '\n')) {
        free(text);
        return NULL;
    }
    if (text != NULL) {
        text[n] = '\0';
    }
    return text;
}

struct saved_table {
    char *path, *key;
    int delimiter;
    char id[TABLE_ID_HEX + 1];
};

static void saved_table_fini(struct saved_table *t)
{
    free(t->path);
    free(t->key);
}

/* The next record of a table; false: there is none. */
static bool read_saved_table(FILE *f, struct saved_table *t)
{
    size_t n_path, n_key;

    *t = (struct saved_table){.path = NULL};
    if (fscanf(f, "table %zu %zu %d %64s", &n_path, &n_key, &t->delimiter, t->id) !=
            4 ||
        fgetc(f) != '\n') {
        return false;
    }
    t->path = read_text(f, n_path);
    t->key = t->path == NULL ? NULL : read_text(f, n_key);
    if (t->key == NULL) {
        saved_table_fini(t);
        return false;
    }
    return true;
}

static bool id_of(const char *hex, uint8_t id[TABLE_ID_BYTES])
{
    for (size_t i = 0; i < TABLE_ID_BYTES; i++) {
        if (sscanf(hex + 2 * i, "%2hhx", &id[i]) != 1) {
            return false;
        }
    }
    return true;
}

static bool open_tables(FILE *f, struct policy *p, struct err *e)
{
    struct saved_table saved;
    bool ok = true;

    while (ok && read_saved_table(f, &saved)) {
        struct table t = {.path = saved.path,
                          .key = saved.key,
                          .delimiter = (char)saved.delimiter,
                          .large = true};
        uint8_t id[TABLE_ID_BYTES];
        struct err why;

        (void)err_set(&why, "it has no id");
        t.lookup =
            id_of(saved.id, id) ? table_open_built(p->tables_dir, id, &why) : NULL;
        ok = t.lookup != NULL || err_set(e, "%s: %s", t.path, why.text);
        if (ok) {
            snapshot_add_table(p, &t);
        }
        saved_table_fini(&saved);
    }
    return ok;
}

static bool read_files(FILE *f, struct policy *p)
{
    char head[sizeof HEAD];
    size_t n_path, n_text;

    if (fgets(head, sizeof head, f) == NULL || strcmp(head, HEAD) != 0) {
        return false;
    }
    while (p->n_files < FILES_MAX && fscanf(f, "%zu %zu", &n_path, &n_text) == 2 &&
           fgetc(f) == '\n') {
        char *path = read_text(f, n_path);
        char *text = path == NULL ? NULL : read_text(f, n_text);

        if (text == NULL) {
            free(path);
            return false;
        }
        snapshot_add(p, path, text, n_text);
        free(path);
    }
    return p->n_files > 0;
}

bool policy_saved_tables(const char *path, policy_saved_table_fn *told, void *arg)
{
    FILE *f = fopen(path, "rbe");
    struct saved_table t;
    struct policy *p;
    bool all;

    if (f == NULL) {
        return errno == ENOENT;
    }
    p = snapshot_new();
    all = read_files(f, p);
    if (all) {
        while (read_saved_table(f, &t)) {
            told(arg, t.id);
            saved_table_fini(&t);
        }
        all = feof(f) && !ferror(f);
    }
    policy_unref(p);
    (void)fclose(f);
    return all;
}

struct policy *policy_load_saved(const char *path, const char *tables_dir,
                                 struct policy_report *report)
{
    struct policy *p;
    FILE *f = fopen(path, "rbe");
    struct err e = {"it is no saved policy, or was cut"};
    bool ok;

    *report = (struct policy_report){0};
    if (f == NULL) {
        diag_plain(report, path, strerror(errno));
        return NULL;
    }
    p = snapshot_new();
    p->whole = true;
    p->tables_dir = tables_dir == NULL ? NULL : mem_strdup(tables_dir);
    ok = read_files(f, p) && open_tables(f, p, &e) && feof(f);
    (void)fclose(f);
    if (!ok) {
        diag_plain(report, path, e.text);
        policy_unref(p);
        return NULL;
    }
    return snapshot_load(p, false, report);
}
