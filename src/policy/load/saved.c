/*
 * A snapshot's texts as one file:
 *
 *   sluice-policy 1\n
 *   (path bytes) (text bytes)\n path \n text \n   for each of its files
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
    return p->n_files > 0 && feof(f);
}

struct policy *policy_load_saved(const char *path, struct policy_report *report)
{
    struct policy *p;
    FILE *f = fopen(path, "rbe");
    bool ok;

    *report = (struct policy_report){0};
    if (f == NULL) {
        diag_plain(report, path, strerror(errno));
        return NULL;
    }
    p = snapshot_new();
    p->whole = true;
    ok = read_files(f, p);
    (void)fclose(f);
    if (!ok) {
        diag_plain(report, path, "it is no saved policy, or was cut");
        policy_unref(p);
        return NULL;
    }
    return snapshot_load(p, false, report);
}
