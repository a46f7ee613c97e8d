/*
 * sluice sink drop NAME [--admin ADDRESS]    gives up what a sink has left that was
 *                                            taken out of a running server's policy
 * sluice sink drop NAME --spool DIR          the same in the spool of a server that
 *                                            does not run
 */
#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/cli.h"
#include "server/kept.h"
#include "sink/delivery/delivery.h"
#include "spool/spool.h"

static int usage(void)
{
    (void)fputs("usage: sluice sink drop NAME [--admin ADDRESS | --spool DIR]\n",
                stderr);
    return 2;
}

static int fail(const struct err *e)
{
    (void)fprintf(stderr, "sluice: %s\n", e->text);
    return 1;
}

/* ---- a running server ---- */

static int ask(const char *admin, const char *name)
{
    CURL *curl = curl_easy_init();
    char url[512];
    long status = 0;
    struct err e;
    CURLcode rc;

    (void)snprintf(url, sizeof url, "http://%s/sinks/%s/drop", admin, name);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    rc = curl_easy_perform(curl); /* its body goes to the standard output */
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    if (rc != CURLE_OK) {
        (void)err_set(&e, "no server answers at %s (%s); of one that does not run "
                          "name the spool: --spool DIR",
                      admin, curl_easy_strerror(rc));
        return fail(&e);
    }
    return status == 200 ? 0 : 1;
}

/* ---- a stopped one ---- */

static bool count_left(struct spool *spool, const char *dir, const char *name,
                       struct delivery_status *left, struct err *e)
{
    struct plan *plan = plan_new();
    const struct sink_plan sink = {.name = name};
    /* A folder that is not there keeps its dead letters out of this. */
    struct delivery_conf c = {.spool = spool,
                              .spool_dir = dir,
                              .data_dir = "/dev/null",
                              .sink = &sink,
                              .plan = plan,
                              .left = true,
                              .absent = "its events are being counted"};
    struct delivery *d = delivery_start(&c, e);

    if (d != NULL) {
        delivery_status(d, left);
        (void)delivery_stop(d, 0);
    }
    plan_unref(plan);
    return d != NULL;
}

static bool forget(const char *dir, const char *name, struct err *e)
{
    static struct kept kept;
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/sinks/%s.journal", dir, name);
    if (unlink(path) != 0) {
        return err_errno(e, errno, "%s", path);
    }
    if (!kept_read(&kept, dir, e)) {
        return false;
    }
    kept_remove(&kept, name);
    return kept_write(&kept, dir, NULL, e);
}

static int drop(const char *dir, const char *name)
{
    const struct spool_conf conf = {.dir = dir, .segment_bytes = 1 << 20,
                                    .n_workers = 1};
    struct delivery_status left;
    char path[PATH_MAX];
    struct spool *spool;
    struct err e;
    bool ok;

    (void)snprintf(path, sizeof path, "%s/sinks/%s.journal", dir, name);
    if (access(path, F_OK) != 0) {
        (void)err_errno(&e, errno, "there is no such sink: %s", path);
        return fail(&e);
    }
    spool = spool_open(&conf, &e); /* refuses one that is in use */
    if (spool == NULL) {
        return fail(&e);
    }
    ok = count_left(spool, dir, name, &left, &e) && forget(dir, name, &e);
    spool_close(spool);
    if (!ok) {
        return fail(&e);
    }
    (void)printf("dropped events=%lu bytes=%lu\n", (unsigned long)left.left,
                 (unsigned long)left.lag_bytes);
    return 0;
}

int cli_sink(int argc, char **argv)
{
    if (argc < 3 || strcmp(argv[1], "drop") != 0) {
        return usage();
    }
    if (argc == 3) {
        return ask("127.0.0.1:9100", argv[2]);
    }
    if (argc == 5 && strcmp(argv[3], "--admin") == 0) {
        return ask(argv[4], argv[2]);
    }
    if (argc == 5 && strcmp(argv[3], "--spool") == 0) {
        return drop(argv[4], argv[2]);
    }
    return usage();
}
