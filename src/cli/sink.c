/*
 * sluice sink drop NAME               gives up the remaining events of a sink that was
 *                                     taken out of a running server's policy
 * sluice sink drop NAME --spool DIR   the same by the server of that spool, or without it
 *                                     if it does not run
 * sluice sink repair NAME --spool DIR [--yes]  shows the whole records of a damaged
 *                                            journal; with --yes makes one of them
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/folder.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "cli/spool_folder.h"
#include "delivery/delivery.h"
#include "journal/journal.h"
#include "server/admin/note.h"
#include "server/sinks/persisted.h"
#include "server/supervisor.h"
#include "spool/spool.h"

static int fail(const struct err *e)
{
    show_error(e->text);
    return 1;
}

/* ---- a running server ---- */

enum { ANSWER_MS = 60000 };

static int ask(const struct ask_options *o, const char *name)
{
    struct ask_answer answer;
    char path[1024];
    struct err e;
    struct ask *a = ask_open(o, &e);
    int code = EXIT_SETUP;

    if (a == NULL || !ask_sink_path(path, sizeof path, name, "drop", &e) ||
        !ask_send(a, "POST", path, ANSWER_MS, &answer, &e)) {
        (void)fail(&e);
    } else if (answer.status != 200) {
        (void)ask_refused(&answer, &e);
        code = fail(&e);
    } else if (strncmp(answer.text, "dropped ", 8) != 0) {
        (void)ask_stranger(a, &e);
        (void)fail(&e);
    } else {
        show_words(stdout, answer.text);
        code = EXIT_OK;
    }
    ask_close(a);
    return code;
}

/* ---- a stopped one ---- */

enum { STOP_MS = 2000 };

/* False and *e. *hangs: the thread that counts is still there, and the spool is its. */
static bool count_remaining(struct spool *spool, const char *dir, const char *name,
                            struct delivery_status *dropped, bool *hangs, struct err *e)
{
    struct plan *plan = plan_new();
    const struct sink_plan sink = {.name = name};
    /* A folder that is not there keeps its dead letters out of this. */
    struct delivery_conf c = {.spool = spool,
                              .spool_dir = dir,
                              .data_dir = "/dev/null",
                              .sink = &sink,
                              .plan = plan,
                              .removed = true,
                              .absent = "its events are being counted"};
    struct delivery *d = delivery_start(&c, e);
    uint64_t until_ns;

    plan_unref(plan); /* d has its own */
    if (d == NULL) {
        return false;
    }
    until_ns = clock_mono_ns() + STOP_MS * 1000000ull;
    delivery_ask_stop(d, clock_mono_ns());
    *hangs = !delivery_halt(d, until_ns);
    if (*hangs) {
        return err_set(e,
                       "the disk of %s does not answer, nothing was dropped: try "
                       "again once it does",
                       dir);
    }
    delivery_status(d, dropped);
    delivery_free(d);
    return true;
}

static bool forget(const char *dir, const char *name, struct err *e)
{
    static struct persisted kept;

    if (!persisted_end(dir, name, name, e) || !persisted_read(&kept, dir, e)) {
        return false;
    }
    persisted_remove(&kept, name);
    return persisted_write(&kept, dir, NULL, e);
}

static int drop(const char *dir, const char *name)
{
    const struct spool_conf conf = {
        .dir = dir, .segment_bytes = 1 << 20, .n_workers = 1};
    struct delivery_status dropped;
    char path[PATH_MAX];
    struct spool *spool;
    struct err e;
    bool ok, hangs = false;

    (void)snprintf(path, sizeof path, "%s/sinks/%s.journal", dir, name);
    if (path_there(path) != 1) {
        (void)err_errno(&e, errno,
                        errno == ENOENT ? "there is no such sink: %s"
                                        : "can't look for the sink: %s",
                        path);
        return fail(&e);
    }
    spool = spool_open(&conf, &e); /* refuses one that is in use */
    if (spool == NULL) {
        return fail(&e);
    }
    ok = count_remaining(spool, dir, name, &dropped, &hangs, &e) &&
         forget(dir, name, &e);
    if (!hangs) {
        spool_close(spool);
    }
    if (!ok) {
        return fail(&e);
    }
    (void)printf("dropped events=%lu bytes=%lu\n", (unsigned long)dropped.remaining,
                 (unsigned long)dropped.lag_bytes);
    return 0;
}

/* ---- a damaged journal ---- */

static int repair(const char *dir, const char *name, bool yes)
{
    char path[PATH_MAX], kept[PATH_MAX];
    struct journal_scan found;
    struct err e;

    (void)snprintf(path, sizeof path, "%s/sinks/%s.journal", dir, name);
    if (!journal_scan(path, NULL, NULL, &found, &e)) {
        return fail(&e);
    }
    show_part(stdout,
              "journal=%s bytes=%lu whole_records=%lu damaged_places=%lu "
              "damaged_bytes=%lu",
              path, (unsigned long)found.bytes, (unsigned long)found.records,
              (unsigned long)found.damaged_places, (unsigned long)found.damaged_bytes);
    if (found.damaged_bytes == 0) {
        (void)printf("\nThe journal is whole; there is nothing to repair.\n");
        return 0;
    }
    (void)printf(" first_damage=%lu\n", (unsigned long)found.first_damage);
    if (!yes) {
        (void)printf("Nothing has changed. With --yes, the whole records become the "
                     "new journal and the\ndamaged journal stays beside it. No "
                     "event is lost. Events whose delivery stands only\nin the "
                     "damaged bytes are delivered again.\n");
        return 0;
    }
    if (!journal_repair(path, kept, sizeof kept, &e)) {
        return fail(&e);
    }
    show_line(stdout, "repaired journal=%s damaged=%s", path, kept);
    show_line(stdout, "A running server starts the sink within a second or two.");
    return 0;
}

int cli_sink(int argc, char **argv)
{
    static const struct option options[] = {
        ASK_GETOPT, {"yes", no_argument, NULL, 'y'}, {NULL, 0, NULL, 0}};
    struct ask_options at = {0};
    bool yes = false, stopped;
    const char *verb, *name;
    struct note note;
    char dir[PATH_MAX];
    struct err e;
    int o;

    optind = 1;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (o == 'y') {
            yes = true;
        } else if (!ask_option(&at, o, optarg)) {
            return usage_wrong("sink");
        }
    }
    if (argc - optind != 2) {
        return usage_wrong("sink");
    }
    verb = argv[optind];
    name = argv[optind + 1];
    if (at.spool != NULL) {
        if (!spool_folder(at.spool, dir, &e)) {
            return fail(&e);
        }
        at.spool = dir;
    }
    if (strcmp(verb, "repair") == 0 && at.spool != NULL && at.admin == NULL) {
        return repair(at.spool, name, yes);
    }
    if (strcmp(verb, "drop") != 0 || yes) {
        return usage_wrong("sink");
    }
    stopped = at.spool != NULL && at.admin == NULL && !note_read(&note, at.spool, &e);
    return stopped ? drop(at.spool, name) : ask(&at, name);
}
