/*
 * sluice sink drop NAME [--admin ADDRESS]    gives up the remaining events of a sink that
 *                                            was taken out of a running server's policy
 * sluice sink drop NAME --spool DIR          the same in the spool of a server that
 *                                            does not run
 * sluice sink repair NAME --spool DIR [--yes]  shows the whole records of a damaged
 *                                            journal; with --yes makes one of them
 */
#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/folder.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "delivery/delivery.h"
#include "journal/journal.h"
#include "server/sinks/persisted.h"
#include "spool/spool.h"

static int fail(const struct err *e)
{
    (void)fprintf(stderr, "sluice: %s\n", e->text);
    return 1;
}

/* ---- a running server ---- */

static int ask(const char *admin, const char *ca, const char *name)
{
    CURL *curl = curl_easy_init();
    char *quoted = curl_easy_escape(curl, name, 0);
    char url[512];
    long status = 0;
    struct err e;
    CURLcode rc;

    (void)snprintf(url, sizeof url, "%s%s/sinks/%s/drop",
                   strstr(admin, "://") == NULL ? "http://" : "", admin, quoted);
    curl_free(quoted);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    if (ca != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
    }
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    rc = curl_easy_perform(curl); /* its body goes to the standard output */
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    if (rc != CURLE_OK) {
        (void)err_set(&e,
                      "no server answers at %s (%s); if the server does not "
                      "run, name its spool with --spool DIR",
                      admin, curl_easy_strerror(rc));
        return fail(&e);
    }
    return status == 200 ? 0 : 1;
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
    (void)printf("journal=%s bytes=%lu whole_records=%lu damaged_places=%lu "
                 "damaged_bytes=%lu",
                 path, (unsigned long)found.bytes, (unsigned long)found.records,
                 (unsigned long)found.damaged_places,
                 (unsigned long)found.damaged_bytes);
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
    (void)printf("repaired journal=%s damaged=%s\nA running server starts the sink "
                 "within a second or two.\n",
                 path, kept);
    return 0;
}

int cli_sink(int argc, char **argv)
{
    if (argc >= 5 && argc <= 6 && strcmp(argv[1], "repair") == 0 &&
        strcmp(argv[3], "--spool") == 0 &&
        (argc == 5 || strcmp(argv[5], "--yes") == 0)) {
        return repair(argv[4], argv[2], argc == 6);
    }
    if (argc < 3 || strcmp(argv[1], "drop") != 0) {
        return usage_wrong("sink");
    }
    if (argc == 3) {
        return ask("127.0.0.1:9100", NULL, argv[2]);
    }
    if ((argc == 5 || (argc == 7 && strcmp(argv[5], "--cacert") == 0)) &&
        strcmp(argv[3], "--admin") == 0) {
        return ask(argv[4], argc == 7 ? argv[6] : NULL, argv[2]);
    }
    if (argc == 5 && strcmp(argv[3], "--spool") == 0) {
        return drop(argv[4], argv[2]);
    }
    return usage_wrong("sink");
}
