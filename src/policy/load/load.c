/*
 * A policy file to a snapshot:
 *
 *   read ─► run ─► problems? ─ yes ─► report, nothing else happens
 *                     └─ no ─► hash ─► plan ─► hooks ─► examples ─► snapshot
 */
#include <lauxlib.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "policy/build/build.h"
#include "policy/load/files.h"
#include "policy/load/internal.h"
#include "policy/load/literals.h"
#include "policy/load/rehearsal.h"
#include "policy/load/secrets.h"
#include "policy/run/state.h"
#include "shared/registry.h"
#include "shared/seen.h"

enum { FILE_BYTES_MAX = 4 << 20, READS_MAX = 4 };

struct policy *snapshot_new(void)
{
    struct policy *p = mem_zalloc(sizeof *p);

    atomic_init(&p->refs, 1);
    p->registry = registry_new(false);
    return p;
}

struct policy *policy_ref(struct policy *p)
{
    (void)atomic_fetch_add(&p->refs, 1);
    return p;
}

void policy_unref(struct policy *p)
{
    if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1) {
        return;
    }
    plan_unref(p->plan);
    registry_unref(p->registry);
    for (uint32_t i = 0; i < p->n_files; i++) {
        snapshot_file_fini(&p->files[i]);
    }
    literals_free(p->literals);
    free(p->files);
    files_free(p);
    secrets_free(p);
    for (size_t i = 0; i < sizeof p->kept / sizeof *p->kept; i++) {
        seen_unref(p->kept[i]);
    }
    free(p);
}

void policy_keep(struct policy *p, uint32_t stream, struct seen *seen)
{
    seen_unref(p->kept[stream]);
    p->kept[stream] = seen_ref(seen);
}

void policy_share(struct policy *p, struct registry *registry)
{
    registry_unref(p->registry);
    p->registry = registry_ref(registry);
}

const char *policy_file(const struct policy *p, uint32_t i)
{
    return i < p->n_files ? p->files[i].path : NULL;
}

struct str policy_file_text(const struct policy *p, uint32_t i)
{
    const char *path = policy_file(p, i);
    size_t n = path == NULL ? 0 : strlen(path);

    if (n == 0 || (i > 0 && (n < 4 || strcmp(path + n - 4, ".lua") != 0))) {
        return (struct str){NULL, 0};
    }
    return (struct str){p->files[i].text, p->files[i].n};
}

bool policy_says(const struct policy *p, const char *word)
{
    return p->literals != NULL && literals_has(p->literals, word);
}

static void find_literals(struct policy *p)
{
    p->literals = literals_new();
    literals_add(p->literals, STR("\"rate_limited\" \"rejected\"")); /* of a verdict */
    for (uint32_t i = 0; i < p->n_files; i++) {
        struct str text = policy_file_text(p, i);

        if (text.p != NULL) {
            literals_add(p->literals, text);
        }
    }
    literals_sort(p->literals);
}

const char *policy_secret_file(const struct policy *p, uint32_t i)
{
    return secrets_file(p, i);
}

const char *policy_table_file(const struct policy *p, uint32_t i)
{
    return i < p->n_tables ? p->tables[i].path : NULL;
}

const struct plan *policy_plan(const struct policy *p)
{
    return p->plan;
}

struct plan *policy_plan_mutable(struct policy *p)
{
    return p->plan;
}

/* A file's name as the policy says it: beside the policy, without its folder; a path
 * that is absolute in the policy stays. */
static const char *name_in(const char *path, const char *policy)
{
    const char *slash = strrchr(policy, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash + 1 - policy);

    return strncmp(path, policy, n) == 0 ? path + n : path;
}

/* Sha-256 (FIPS 180-4) over names and texts, so that a rename is a change, but not
 * another way to write the policy's path. */
static bool hash_files(const struct policy *p, char hex[65])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned char out[32];
    unsigned n = 0;
    bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;

    for (uint32_t i = 0; ok && i < p->n_files; i++) {
        const struct snapshot_file *f = &p->files[i];

        const char *name = name_in(f->path, p->files[0].path);

        ok = EVP_DigestUpdate(md, name, strlen(name) + 1) == 1 &&
             EVP_DigestUpdate(md, f->text, f->n) == 1 &&
             EVP_DigestUpdate(md, "", 1) == 1;
    }
    for (uint32_t i = 0; ok && i < p->n_tables; i++) {
        const struct table *t = &p->tables[i];
        const char *name = name_in(t->path, p->files[0].path);

        /* In the place of a text of up to 16 GiB, its digest. */
        ok = !t->large || (EVP_DigestUpdate(md, name, strlen(name) + 1) == 1 &&
                           EVP_DigestUpdate(md, csv_table_head(t->lookup)->content,
                                            TABLE_ID_BYTES) == 1);
    }
    ok = ok && EVP_DigestFinal_ex(md, out, &n) == 1;
    EVP_MD_CTX_free(md);
    for (unsigned i = 0; i < 32; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", out[i]);
    }
    return ok;
}

static void add_notes(const struct policy_state *s, struct policy_report *report)
{
    const struct plan *plan = s->policy->plan;
    char note[300];

    for (uint32_t i = 0; i < plan->n_routes; i++) {
        const struct route *r = &plan->routes[i];

        if (s->hooks[i].loops) {
            (void)snprintf(note, sizeof note,
                           "%s: it runs interpreted, for at most %d ms a call",
                           s->hooks[i].why_bounded, HOOK_MS);
            diag_note(report, r->file, (int)r->line, note);
        }
    }
}

/* The loader's result lies on top of s->L. False: the report, or *e, tells. */
static bool finish(struct policy_state *s, void *arg, struct err *e)
{
    struct policy_report *report = arg;
    struct policy *p = s->policy;

    e->text[0] = '\0';
    diag_report(s->L, report);
    if (report->n_problems > 0) {
        return false;
    }
    p->plan = plan_new();
    if (!hash_files(p, p->plan->hash)) {
        return err_set(e, "the files can't be hashed");
    }
    if (!plan_build(s, p->plan, e) || !state_take_hooks(s, e)) {
        return false;
    }
    examples_run(s);
    diag_report(s->L, report);
    if (report->n_problems > 0) {
        return false;
    }
    find_literals(p);
    diag_remarks(s->L, report);
    add_notes(s, report);
    return true;
}

struct policy *snapshot_load(struct policy *p, bool reading,
                             struct policy_report *report)
{
    struct policy_state *s;
    struct err e;

    s = state_load(p, reading, finish, report, &e);
    if (s == NULL) {
        if (e.text[0] != '\0') {
            diag_plain(report, p->files[0].path, e.text);
        }
        policy_unref(p);
        return NULL;
    }
    policy_state_free(s);
    return p;
}

/* From the disk. Files that are replaced meanwhile, by a deployment that swaps a
 * symbolic link, are read once more: never the policy of one version with the
 * modules of another. */
static struct policy *load_files(struct policy *p, const char *path,
                                 struct policy_report *report)
{
    struct policy *loaded = NULL;
    bool changed = true;
    struct err e;

    for (int i = 0; i < READS_MAX && changed; i++) {
        struct policy *next = snapshot_new();

        next->env = p->env;
        next->tables_dir = p->tables_dir;
        p->tables_dir = NULL;
        policy_unref(loaded);
        policy_unref(p);
        policy_report_fini(report);
        *report = (struct policy_report){0};
        p = next;
        if (!snapshot_read(p, path, FILE_BYTES_MAX, &e)) {
            diag_plain(report, path, e.text);
            policy_unref(p);
            return NULL;
        }
        loaded = snapshot_load(policy_ref(p), true, report);
        changed = snapshot_changed(p);
    }
    if (changed) {
        policy_report_fini(report);
        *report = (struct policy_report){0};
        diag_plain(report, path,
                   "its files were replaced while they were read, several times; "
                   "load it again when the deployment is over");
        policy_unref(loaded);
        loaded = NULL;
    }
    policy_unref(p);
    return loaded;
}

static char *copy_of(const char *text)
{
    return text == NULL ? NULL : mem_strdup(text);
}

struct policy *policy_load_in(const char *path, const char *tables_dir,
                              struct policy_report *report)
{
    struct policy *p = snapshot_new();

    *report = (struct policy_report){0};
    p->tables_dir = copy_of(tables_dir);
    return load_files(p, path, report);
}

struct policy *policy_load_with(const char *path, struct str text,
                                const struct policy_env *env,
                                struct policy_report *report)
{
    struct policy *p = snapshot_new();

    *report = (struct policy_report){0};
    p->env = env;
    if (text.p != NULL) {
        snapshot_add(p, path, mem_strndup(text.p, text.n), text.n);
        return snapshot_load(p, true, report);
    }
    return load_files(p, path, report);
}

struct policy *policy_again(const struct policy *p, struct policy_report *report)
{
    struct policy *again = snapshot_new();

    *report = (struct policy_report){0};
    for (uint32_t i = 0; i < p->n_files; i++) {
        const struct snapshot_file *f = &p->files[i];

        snapshot_copy(again, f);
    }
    for (uint32_t i = 0; i < p->n_tables; i++) {
        struct table t = p->tables[i];

        if (t.large) {
            t.lookup = csv_table_ref(t.lookup);
            t.on_disk = false;
            snapshot_add_table(again, &t);
        }
    }
    again->env = p->env;
    again->tables_dir = copy_of(p->tables_dir);
    again->whole = true;
    return snapshot_load(again, true, report);
}

struct policy *policy_load(const char *path, struct policy_report *report)
{
    return policy_load_with(path, (struct str){NULL, 0}, NULL, report);
}

struct policy *policy_load_text(const char *name, struct str text,
                                struct policy_report *report)
{
    return policy_load_with(name, text, NULL, report);
}
