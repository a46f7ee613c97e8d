/* Files of user agents: one in memory for all snapshots whose file has the same bytes, and
 * a reader of it in each state. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agents/agent_reader.h"
#include "base/log.h"
#include "base/mem.h"
#include "policy/internal.h"
#include "policy/library/library.h"
#include "policy/load/agent_sets.h"
#include "stats/stats.h"

enum { PARSE_WORK = 20000 }; /* of a text that is not known, in about nanoseconds */

struct open {
    struct agents *agents;
    uint32_t users;
};

/* Also workers come here, when they free a snapshot: nothing takes long under the lock. */
static struct {
    pthread_mutex_t lock;
    struct open *list;
    uint32_t n;
    stats_cell *skips;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct open *entry_of(const struct agents *a)
{
    uint32_t i = 0;

    while (all.list[i].agents != a) {
        i++;
    }
    return &all.list[i];
}

struct agents *agent_sets_share(struct agents *a)
{
    (void)pthread_mutex_lock(&all.lock);
    entry_of(a)->users++;
    (void)pthread_mutex_unlock(&all.lock);
    return a;
}

void agent_sets_close(struct agents *a)
{
    bool last;

    (void)pthread_mutex_lock(&all.lock);
    last = --entry_of(a)->users == 0;
    if (last) {
        *entry_of(a) = all.list[--all.n];
    }
    (void)pthread_mutex_unlock(&all.lock);
    if (last) {
        agents_free(a);
    }
}

static void add(struct agents *a)
{
    (void)pthread_mutex_lock(&all.lock);
    all.list = mem_realloc(all.list, (all.n + 1) * sizeof *all.list);
    all.list[all.n++] = (struct open){a, 1};
    (void)pthread_mutex_unlock(&all.lock);
}

/* The one with these bytes, with one user more; NULL: none is open. */
static struct agents *find(struct str file)
{
    struct agents *a = NULL;

    (void)pthread_mutex_lock(&all.lock);
    for (uint32_t i = 0; a == NULL && i < all.n; i++) {
        if (str_eq(agents_file(all.list[i].agents), file)) {
            a = all.list[i].agents;
            all.list[i].users++;
        }
    }
    (void)pthread_mutex_unlock(&all.lock);
    return a;
}

static stats_cell *skips(void)
{
    (void)pthread_mutex_lock(&all.lock);
    if (all.skips == NULL) {
        struct stats_owner *by = stats_own(NULL);

        all.skips =
            stats_counter("sluice_agent_skips_total",
                          "Parsers of a file of user agents that were left out for "
                          "a text, because they took too many steps.",
                          "");
        (void)stats_own(by);
    }
    (void)pthread_mutex_unlock(&all.lock);
    return all.skips;
}

bool agent_sets_open(struct snapshot_file *f, agent_problem_fn *problem, void *arg)
{
    struct str file = {f->text, f->n};
    struct agents *a;

    if (f->agents != NULL) {
        return true;
    }
    a = find(file);
    if (a == NULL) {
        a = agents_new(file, problem, arg);
        if (a == NULL) {
            return false;
        }
        add(a);
    }
    (void)skips(); /* the series is there before it counts */
    free(f->text);
    f->text = (char *)agents_file(a).p;
    f->agents = a;
    return true;
}

/* ---- the readers of a state -------------------------------------------------------------- */

int32_t agent_sets_read(struct policy_state *s, const struct snapshot_file *f)
{
    uint32_t i = 0;

    while (i < s->n_readers && s->readers[i].file != f - s->policy->files) {
        i++;
    }
    if (i == s->n_readers) {
        s->readers = mem_realloc(s->readers, (i + 1) * sizeof *s->readers);
        s->readers[i].file = f - s->policy->files;
        s->readers[i].reader = agent_reader_new(f->agents);
        s->readers[i].told = 0;
        s->n_readers++;
    }
    return (int32_t)i;
}

void agent_sets_fini(struct policy_state *s)
{
    for (uint32_t i = 0; i < s->n_readers; i++) {
        agent_reader_free(s->readers[i].reader);
    }
    free(s->readers);
}

/* Rare: a text that makes an expression run wild. */
static NOINLINE void count_skips(struct policy_state *s, struct agents_reading *x,
                                 uint64_t skipped, uint32_t line)
{
    char path[200];

    stats_add_shared(skips(), skipped - x->told);
    if (x->told == 0) {
        log_write(
            LOG_WARN, "agent_parser_skipped",
            "file=%s line=%u why=\"the regex takes too many steps for a text; further "
            "ones count in sluice_agent_skips_total\"",
            log_quote(path, sizeof path, s->policy->files[x->file].path), line);
    }
    x->told = skipped;
}

int sluice_agent(struct sluice_context *c, int32_t reader, const char *text, size_t n,
                 int32_t part, struct sluice_value *out)
{
    struct policy_state *s = OUTER(c, struct policy_state, context);
    struct agents_reading *x;
    enum agent_cost cost;
    uint64_t skipped;
    uint32_t line;
    struct str v;

    if ((uint32_t)reader >= s->n_readers || (uint32_t)part >= N_AGENT_PARTS) {
        return 0;
    }
    x = &s->readers[reader];
    cost =
        agent_reader_find(x->reader, (struct str){text, n}, (enum agent_part)part, &v);
    if (UNLIKELY(cost == AGENT_PARSED)) {
        skipped = agent_reader_skipped(x->reader, &line);
        if (UNLIKELY(skipped != x->told)) {
            count_skips(s, x, skipped, line);
        }
        if (!state_spend(s, PARSE_WORK)) {
            return -2;
        }
    }
    out->text = v.p;
    out->len = (uint32_t)v.n;
    return v.p != NULL;
}
