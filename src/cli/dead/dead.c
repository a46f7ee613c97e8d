/*
 * sluice dead list [DIR]              the dead letters by reason
 * sluice dead show FILE               a letter a line: why, then the event
 * sluice dead replay FILE --to URL    posts the events to a route of a server
 * sluice dead replay FILE --dry-run   says what that would do
 * sluice dead replay --sink NAME [--dry-run]
 *                                     has a running server send a sink's letters to
 *                                     that sink once more
 * sluice dead replay --sink NAME --stop
 *                                     ends that; the letters that are left stay
 * sluice dead purge FILE [--all]      deletes a file whose letters are all replayed
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/dead/redeliver.h"
#include "cli/dead/resend.h"
#include "cli/moment.h"
#include "cli/show.h"
#include "delivery/letters.h"

enum { KINDS_MAX = 256 };

static int fail(const struct err *e)
{
    show_error(e->text);
    return 1;
}

/* ---- list ---- */

struct kind {
    char text[320]; /* sink, reason, code */
    uint64_t n;
    double first_ms, last_ms;
};

/* The last line of a file that has more kinds than are told one by one. */
static const char OTHERS[] = "kinds=others";

/* Of KINDS_MAX the last is for the others. */
static struct kind *kind_of(struct kind *list, uint32_t *n, const char *key)
{
    for (uint32_t i = 0; i < *n; i++) {
        if (strcmp(list[i].text, key) == 0) {
            return &list[i];
        }
    }
    if (*n >= KINDS_MAX - 1 && strcmp(key, OTHERS) != 0) {
        return kind_of(list, n, OTHERS);
    }
    list[*n] = (struct kind){.n = 0};
    (void)snprintf(list[*n].text, sizeof list[*n].text, "%s", key);
    return &list[(*n)++];
}

/* A file may have any number. */
static const char *show_time(char out[MOMENT_TEXT], double ms)
{
    static const double most = 9e18;

    return moment_text(out,
                       (int64_t)(ms > most    ? most
                                 : ms < -most ? -most
                                              : ms),
                       1000);
}

/* *some: there were letters, or lines that are none. */
static bool list_file(const char *path, bool *some, struct err *e)
{
    static struct kind kinds[KINDS_MAX];
    struct letters *l = letters_open(path, e);
    char quoted[PATH_MAX];
    const char *file;
    uint32_t n = 0;
    struct letter x;
    bool ok;

    if (l == NULL) {
        /* A running server has given it another name, or it was purged. */
        return access(path, F_OK) != 0 && errno == ENOENT;
    }
    while (letters_next(l, &x)) {
        char key[320];
        struct kind *k;

        (void)snprintf(key, sizeof key, "from=\"%.*s\" reason=%.*s code=%.0f",
                       (int)x.sink.n, x.sink.p, (int)x.reason.n, x.reason.p, x.code);
        k = kind_of(kinds, &n, key);
        k->first_ms = k->n == 0 ? x.time_ms : k->first_ms;
        k->last_ms = x.time_ms;
        k->n++;
    }
    file = log_word(quoted, sizeof quoted, path);
    for (uint32_t i = 0; i < n; i++) {
        char a[MOMENT_TEXT], b[MOMENT_TEXT];

        show_line(stdout, "file=%s letters=%lu %s first=%s last=%s", file,
                  (unsigned long)kinds[i].n, kinds[i].text,
                  show_time(a, kinds[i].first_ms), show_time(b, kinds[i].last_ms));
    }
    if (letters_refused(l) > 0) {
        show_line(stdout, "file=%s refusals=%lu", file,
                  (unsigned long)letters_refused(l));
    }
    if (letters_bad(l) > letters_refused(l)) {
        show_line(stdout, "file=%s unreadable_lines=%lu", file,
                  (unsigned long)(letters_bad(l) - letters_refused(l)));
    }
    *some = *some || n > 0 || letters_bad(l) > 0;
    ok = letters_ended(l, e);
    letters_close(l);
    return ok;
}

/* A server makes the folder with its first dead letter: its spool is there before. */
static bool is_not_made_yet(const char *dir)
{
    size_t n = strlen(dir);
    char spool[4096];

    while (n > 1 && dir[n - 1] == '/') {
        n--;
    }
    while (n > 0 && dir[n - 1] != '/') {
        n--;
    }
    return snprintf(spool, sizeof spool, "%.*sspool", (int)n, dir) <
               (int)sizeof spool &&
           access(spool, F_OK) == 0;
}

static int list(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    struct err e;
    bool some = false;
    int code = 0;

    if (d == NULL && errno == ENOENT && is_not_made_yet(dir)) {
        show_line(stderr, "sluice: no dead letters: the server has not made %s yet",
                  dir);
        return 0;
    }
    if (d == NULL) {
        (void)err_errno(&e, errno, "%s", dir);
        return fail(&e);
    }
    while ((errno = 0, entry = readdir(d)) != NULL) {
        char path[4096];
        const char *dot = strstr(entry->d_name, ".ndjson");

        if (dot != NULL && strstr(dot, ".replayed") == NULL &&
            strstr(dot, ".replay-mark") == NULL) {
            (void)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
            /* One that can't be read does not hide the others. */
            code = list_file(path, &some, &e) ? code : fail(&e);
        }
    }
    if (errno != 0) {
        (void)err_errno(&e, errno, "%s", dir);
        code = fail(&e);
    }
    (void)closedir(d);
    if (!some && code == 0) {
        show_line(stderr,
                  "sluice: no dead letters in the files *.ndjson of %s; a server's lie "
                  "in the folder dead of its data directory",
                  dir);
    }
    return code;
}

/* ---- show ---- */

static int show(const char *path)
{
    struct err e;
    struct letters *l = letters_open(path, &e);
    struct letter x;
    bool ok;

    if (l == NULL) {
        return fail(&e);
    }
    while (letters_next(l, &x)) {
        char when[MOMENT_TEXT];

        show_line(stdout, "%s %.*s %.0f: %.*s", show_time(when, x.time_ms),
                  (int)x.reason.n, x.reason.p, x.code, (int)x.why.n, x.why.p);
        (void)fputs("    ", stdout);
        show_json(stdout, x.event); /* its text in JSON */
    }
    if (letters_bad(l) > 0) {
        show_line(stderr, "sluice: lines of %s that are no dead letters: %lu", path,
                  (unsigned long)letters_bad(l));
    }
    ok = letters_ended(l, &e);
    letters_close(l);
    return ok ? 0 : fail(&e);
}

static int replay_sink(int argc, char **argv)
{
    static const struct option options[] = {ASK_GETOPT,
                                            {"sink", required_argument, NULL, 'n'},
                                            {"dry-run", no_argument, NULL, 'd'},
                                            {"stop", no_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    struct ask_options at = {0};
    const char *sink = NULL;
    bool dry = false, stop = false;
    int o;

    optind = 2; /* after "replay" */
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (o == 'n') {
            sink = optarg;
        } else if (o == 'd') {
            dry = true;
        } else if (o == 's') {
            stop = true;
        } else if (!ask_option(&at, o, optarg)) {
            return usage_wrong("dead");
        }
    }
    if (optind != argc || sink == NULL || (dry && stop)) {
        return usage_wrong("dead");
    }
    return stop ? redeliver_stop(&at, sink) : redeliver(&at, sink, dry);
}

/* "replay" with an option --sink asks a server; otherwise its operand is a file. */
static bool names_sink(int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--sink") == 0 || strncmp(argv[i], "--sink=", 7) == 0) {
            return true;
        }
    }
    return false;
}

int cli_dead(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "replay") == 0 && names_sink(argc, argv)) {
        return replay_sink(argc, argv);
    }
    if ((argc == 2 || argc == 3) && strcmp(argv[1], "list") == 0) {
        return list(argc == 3 ? argv[2] : "data/dead");
    }
    if (argc == 3 && strcmp(argv[1], "show") == 0) {
        return show(argv[2]);
    }
    if (argc == 5 && strcmp(argv[1], "replay") == 0 && strcmp(argv[3], "--to") == 0) {
        return resend(argv[2], argv[4]);
    }
    if (argc == 4 && strcmp(argv[1], "replay") == 0 &&
        strcmp(argv[3], "--dry-run") == 0) {
        return resend(argv[2], NULL);
    }
    if ((argc == 3 || (argc == 4 && strcmp(argv[3], "--all") == 0)) &&
        strcmp(argv[1], "purge") == 0) {
        return resend_purge(argv[2], argc == 4);
    }
    return usage_wrong("dead");
}
