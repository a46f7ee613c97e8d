#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "decode/scan.h"
#include "http/encoding.h"
#include "plan/moment.h"
#include "policy/load/embed.h"
#include "server/sinks/hooks.h"
#include "testkit/internal.h"

enum { REQUEST_BYTES_MAX = 64 << 20, LABELS_MAX = 8 };

uint32_t sluice_kit_version(void)
{
    return SLUICE_KIT_VERSION;
}

const char *sluice_kit_declarations(void)
{
    static char *text; /* made once; a spec has one thread */

    if (text == NULL) {
        struct str header = embed_find("src/testkit/testkit.h");
        const char *p = header.p, *end = header.p + header.n;
        size_t n = 0;

        text = mem_zalloc(header.n + 1);
        while (p < end) {
            const char *nl = memchr(p, '\n', (size_t)(end - p));
            const char *next = nl == NULL ? end : nl + 1;

            if (*p != '#') {
                memcpy(text + n, p, (size_t)(next - p));
                n += (size_t)(next - p);
            }
            p = next;
        }
    }
    return text;
}

static void copy_env(struct policy_env *out, const struct sluice_kit_pair *env,
                     uint32_t n)
{
    out->pairs = mem_alloc(n * sizeof *out->pairs);
    out->n = n;
    for (uint32_t i = 0; i < n; i++) {
        out->pairs[i] = (struct pair_plan){mem_strndup(env[i].name.p, env[i].name.n),
                                           mem_strndup(env[i].value.p, env[i].value.n)};
    }
}

static void free_env(struct policy_env *env)
{
    for (uint32_t i = 0; i < env->n; i++) {
        free((char *)env->pairs[i].name);
        free((char *)env->pairs[i].value);
    }
    free(env->pairs);
}

struct sluice_kit *sluice_kit_load(const char *path, struct sluice_kit_text text,
                                   const struct sluice_kit_pair *env, uint32_t n_env,
                                   uint64_t seed)
{
    struct sluice_kit *k = mem_zalloc(sizeof *k);
    struct err e;

    copy_env(&k->env, env, n_env);
    k->env.seed = seed;
    k->policy =
        policy_load_with(path, (struct str){text.p, text.n}, &k->env, &k->report);
    arena_init(&k->arena, REQUEST_BYTES_MAX);
    arena_init(&k->answer, SIZE_MAX);
    event_batch_init(&k->batch, &k->arena);
    k->encoding = encoding_new();
    if (k->policy != NULL) {
        k->state = policy_state_new(k->policy, &e);
        if (k->state == NULL) {
            policy_report_fini(&k->report);
            k->report.text = mem_strdup(e.text);
            policy_unref(k->policy);
            k->policy = NULL;
        }
    }
    return k;
}

void sluice_kit_free(struct sluice_kit *k)
{
    if (k == NULL) {
        return;
    }
    for (uint32_t i = 0; i < PLAN_SINKS_MAX; i++) {
        sink_hooks_free(k->sinks[i]);
    }
    policy_state_free(k->state);
    policy_unref(k->policy);
    policy_report_fini(&k->report);
    event_batch_fini(&k->batch);
    encoding_free(k->encoding);
    arena_fini(&k->arena);
    arena_fini(&k->answer);
    free_env(&k->env);
    free(k->plan_json);
    free(k);
}

uint32_t sluice_kit_ok(const struct sluice_kit *k)
{
    return k->policy != NULL;
}

const char *sluice_kit_report(const struct sluice_kit *k)
{
    return k->report.text == NULL ? "" : k->report.text;
}

uint32_t sluice_kit_moment(struct sluice_kit_text text, double *ms)
{
    int64_t v;

    if (!moment_ms((struct str){text.p, text.n}, &v)) {
        return 0;
    }
    *ms = (double)v;
    return 1;
}

uint32_t sluice_kit_metric(struct sluice_kit *k, const char *name,
                           const struct sluice_kit_text *labels, uint32_t n,
                           double *value)
{
    struct str values[LABELS_MAX];

    if (n > LABELS_MAX) {
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        values[i] = (struct str){labels[i].p, labels[i].n};
    }
    return policy_metric(k->state, name, values, n, value);
}
