#include "ingest/account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "base/text.h"
#include "policy/load/load.h"

enum { N_ENDS = 5, LABEL_BYTES = 2600 };

static const char OTHER[] = "other";

enum origin { OF_SLUICE, OF_POLICY, OF_VALUE, ORIGINS };

struct code {
    char name[ACCOUNT_CODE_BYTES];
    int status;
    stats_cell *cell;
    stats_cell *rejected, *refused; /* events; made on first use */
    double sampled_ms;              /* 0: never */
};

struct account {
    struct account *next;
    char *route;
    uint32_t refs;             /* bindings, and requests that wait */
    struct stats_owner series; /* all of the route at this worker */
    struct traffic traffic;
    stats_cell *received, *ends[N_ENDS];
    stats_cell *cut;    /* made on first use, as codes */
    struct code *codes; /* made on first use, which most routes never see */
    uint32_t n_codes, room;
    uint32_t n_of[ORIGINS];
    struct code *last;              /* counted */
    stats_cell *auth[AUTH_REASONS]; /* the same */
    stats_cell *raised[HOOKS];      /* the same */
    double raised_ms; /* when an error of a hook was last due as a sample */
};

static stats_cell *result_of(struct account *a, const char *result, const char *code)
{
    char pair[LABEL_BYTES], word[3 * ACCOUNT_CODE_BYTES],
        labels[LABEL_BYTES + sizeof word + 64];
    struct stats_owner *before = stats_own(&a->series);
    stats_cell *c;

    (void)stats_label_pair(pair, sizeof pair, "route", a->route);
    (void)stats_label(word, sizeof word, code);
    (void)snprintf(labels, sizeof labels, "%s,result=\"%s\",code=\"%s\"", pair, result,
                   word);
    c = stats_counter("sluice_events_total",
                      "Results of a route's events; with the waiting events they "
                      "add up to the received ones.",
                      labels);
    (void)stats_own(before);
    return c;
}

void accounts_init(struct accounts *a)
{
    *a = (struct accounts){0};
    a->waiting = stats_gauge("sluice_waiting_events",
                             "Events whose request waits for a commit, a sync "
                             "or the sinks.",
                             "");
}

static void account_free(struct account *a)
{
    stats_disown(&a->series);
    free(a->route);
    free(a->codes);
    free(a);
}

void accounts_fini(struct accounts *a)
{
    while (a->first != NULL) {
        struct account *next = a->first->next;

        account_free(a->first);
        a->first = next;
    }
}

static struct account *new_account(const char *route)
{
    static const char *const ends[N_ENDS] = {"stored", "dropped", "duplicate", "dead",
                                             "refused"};
    struct account *a = mem_zalloc(sizeof *a);
    char pair[LABEL_BYTES];
    struct stats_owner *before = stats_own(&a->series);

    a->route = mem_strdup(route);
    traffic_init(&a->traffic, a->route, &a->series);
    (void)stats_label_pair(pair, sizeof pair, "route", route);
    a->received = stats_counter(
        "sluice_received_events_total",
        "Events received; a request refused before its events are counted is "
        "one.",
        pair);
    (void)stats_own(before);
    for (int i = 0; i < N_ENDS; i++) {
        a->ends[i] = result_of(a, ends[i], "");
    }
    return a;
}

struct account *account_of(struct accounts *all, const char *route)
{
    struct account **at = &all->first;

    for (; *at != NULL; at = &(*at)->next) {
        if (strcmp((*at)->route, route) == 0) {
            (*at)->refs++;
            return *at;
        }
    }
    if (all->n >= ACCOUNTS_MAX && strcmp(route, OTHER) != 0) {
        return account_of(all, OTHER);
    }
    all->n++;
    *at = new_account(route);
    (*at)->refs = 1;
    return *at;
}

void account_hold(struct account *a)
{
    a->refs++;
}

static NOINLINE void remove_account(struct accounts *all, struct account *a)
{
    struct account **at = &all->first;

    while (*at != a) {
        at = &(*at)->next;
    }
    *at = a->next;
    all->n--;
    account_free(a);
}

void account_drop(struct accounts *all, struct account *a)
{
    if (UNLIKELY(--a->refs == 0)) {
        remove_account(all, a);
    }
}

const char *account_name(const struct account *a)
{
    return a->route;
}

struct traffic *account_traffic(struct account *a)
{
    return &a->traffic;
}

void account_received(struct account *a, uint32_t n)
{
    stats_add(a->received, n);
}

void account_cut(struct account *a, uint32_t n)
{
    char pair[LABEL_BYTES];

    if (a->cut == NULL) {
        struct stats_owner *before = stats_own(&a->series);

        (void)stats_label_pair(pair, sizeof pair, "route", a->route);
        a->cut = stats_counter("sluice_cut_texts_total",
                               "Texts longer than the cut of their field, stored "
                               "without their end.",
                               pair);
        (void)stats_own(before);
    }
    stats_add(a->cut, n);
}

void account_wait(struct accounts *all, uint32_t n)
{
    all->n_waiting += n;
    stats_set(all->waiting, all->n_waiting);
}

void account_done(struct accounts *all, uint32_t n)
{
    all->n_waiting -= n;
    stats_set(all->waiting, all->n_waiting);
}

void account_ends(struct account *a, const struct ends *e)
{
    const uint32_t n[N_ENDS] = {e->stored, e->dropped, e->duplicate, e->dead,
                                e->refused};

    for (int i = 0; i < N_ENDS; i++) {
        if (n[i] > 0) {
            stats_add(a->ends[i], n[i]);
        }
    }
}

static struct code *find(struct account *a, const char *code, int status)
{
    for (uint32_t i = 0; i < a->n_codes; i++) {
        if (a->codes[i].status == status &&
            strncmp(a->codes[i].name, code, ACCOUNT_CODE_BYTES - 1) == 0) {
            return &a->codes[i];
        }
    }
    return NULL;
}

static struct code *add(struct account *a, const char *code, int status)
{
    char pair[LABEL_BYTES], word[3 * ACCOUNT_CODE_BYTES],
        labels[LABEL_BYTES + sizeof word + 40];
    struct stats_owner *before = stats_own(&a->series);
    struct code *c;

    if (a->n_codes == a->room) {
        a->room = 2 * a->room + 8;
        a->codes = mem_realloc(a->codes, a->room * sizeof *a->codes);
        a->last = NULL;
    }
    c = &a->codes[a->n_codes++];
    *c = (struct code){.status = status};
    (void)snprintf(c->name, sizeof c->name, "%s", code);
    (void)stats_label_pair(pair, sizeof pair, "route", a->route);
    (void)stats_label(word, sizeof word, c->name);
    (void)snprintf(labels, sizeof labels, "%s,code=\"%s\",status=\"%d\"", pair, word,
                   status);
    c->cell =
        stats_counter("sluice_refusals_total",
                      "Events rejected and requests refused, by code and status of the "
                      "answer.",
                      labels);
    (void)stats_own(before);
    return c;
}

/* False: there is no room for one more code of that origin. */
static bool has_room(struct account *a, enum origin of)
{
    static const uint32_t most[ORIGINS] = {[OF_SLUICE] = ACCOUNT_SLUICE_MAX,
                                           [OF_POLICY] = ACCOUNT_WORDS_MAX,
                                           [OF_VALUE] = ACCOUNT_CODES_MAX};

    return a->n_of[of] < most[of] && ++a->n_of[of] > 0;
}

const char *account_hook_code(struct account *a, const char *code, int *status,
                              const struct policy *policy)
{
    if (find(a, code, *status) == NULL) {
        if (!has_room(a, policy_says(policy, code) ? OF_POLICY : OF_VALUE)) {
            *status = 0;
            return OTHER;
        }
        (void)add(a, code, *status);
    }
    return code;
}

static struct code *code_of(struct account *a, const char *code, int status)
{
    struct code *c = find(a, code, status);

    if (c == NULL && strcmp(code, OTHER) != 0 && !has_room(a, OF_SLUICE)) {
        code = OTHER;
        status = 0;
        c = find(a, code, status);
    }
    c = c == NULL ? add(a, code, status) : c;
    a->last = c;
    return c;
}

void account_rejected(struct account *a, const char *code, int status)
{
    struct code *c = code_of(a, code, status);

    stats_add(c->cell, 1);
    if (UNLIKELY(c->rejected == NULL)) {
        c->rejected = result_of(a, "rejected", c->name);
    }
    stats_add(c->rejected, 1);
}

void account_refused(struct account *a, const char *code, int status, uint32_t n)
{
    struct code *c = code_of(a, code, status);

    stats_add(c->cell, 1);
    if (UNLIKELY(c->refused == NULL)) {
        c->refused = result_of(a, "refused", c->name);
    }
    stats_add(c->refused, n);
}

bool account_sample_due(struct account *a, double now_ms, double pause_ms)
{
    if (a->last == NULL ||
        (a->last->sampled_ms > 0 && now_ms - a->last->sampled_ms < pause_ms)) {
        return false;
    }
    a->last->sampled_ms = now_ms;
    return true;
}

static stats_cell *raised_of(struct account *a, enum hook hook)
{
    char pair[LABEL_BYTES], labels[LABEL_BYTES + 40];

    if (a->raised[hook] == NULL) {
        struct stats_owner *before = stats_own(&a->series);

        (void)stats_label_pair(pair, sizeof pair, "route", a->route);
        (void)snprintf(labels, sizeof labels, "%s,hook=\"%s\"", pair,
                       hook == HOOK_EVENT ? "on_event" : "on_request");
        a->raised[hook] = stats_counter("sluice_policy_errors_total",
                                        "Errors that hooks raised.", labels);
        (void)stats_own(before);
    }
    return a->raised[hook];
}

void account_hooks(struct account *a, bool on_event, bool on_request)
{
    if (on_event) {
        (void)raised_of(a, HOOK_EVENT);
    }
    if (on_request) {
        (void)raised_of(a, HOOK_REQUEST);
    }
}

void account_raised(struct account *a, enum hook hook, uint32_t n)
{
    stats_add(raised_of(a, hook), n);
}

bool account_raised_due(struct account *a, double now_ms, double pause_ms)
{
    if (a->raised_ms > 0 && now_ms - a->raised_ms < pause_ms) {
        return false;
    }
    a->raised_ms = now_ms;
    return true;
}

void account_auth(struct account *a, enum auth_reason why)
{
    char pair[LABEL_BYTES], labels[LABEL_BYTES + 40];

    if (a->auth[why] == NULL) {
        struct stats_owner *before = stats_own(&a->series);

        (void)stats_label_pair(pair, sizeof pair, "route", a->route);
        (void)snprintf(labels, sizeof labels, "%s,reason=\"%s\"", pair,
                       auth_reason_word(why));
        a->auth[why] =
            stats_counter("sluice_auth_refused_total",
                          "Requests refused because of their key, by reason.", labels);
        (void)stats_own(before);
    }
    stats_add(a->auth[why], 1);
}
