#include "fault_rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned bit;
} ops[] = {{"read", OP_READ},     {"write", OP_WRITE},   {"sync", OP_SYNC},
           {"rename", OP_RENAME}, {"link", OP_LINK},     {"create", OP_CREATE},
           {"open", OP_OPEN},     {"unlink", OP_UNLINK}, {"alloc", OP_ALLOC},
           {"list", OP_LIST},     {"stat", OP_STAT},     {"range", OP_RANGE},
           {"all", ~0u},          {"change", OP_CHANGE}};

static const struct {
    const char *name;
    int error;
} errors[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EROFS", EROFS},
              {"EMFILE", EMFILE}, {"ENFILE", ENFILE}, {"ENOMEM", ENOMEM},
              {"EDQUOT", EDQUOT}, {"EINTR", EINTR},   {"EACCES", EACCES}};

static const struct {
    const char *name;
    enum fault_what what;
} whats[] = {
    {"short", DO_SHORT}, {"delay", DO_DELAY}, {"hang", DO_HANG}, {"kill", DO_KILL}};

static unsigned parse_ops(char *list)
{
    unsigned bits = 0;
    char *state = NULL;

    for (char *w = strtok_r(list, ",", &state); w != NULL;
         w = strtok_r(NULL, ",", &state)) {
        for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
            bits |= strcmp(w, ops[i].name) == 0 ? ops[i].bit : 0;
        }
    }
    return bits;
}

static void parse_what(struct fault_rule *r, const char *word)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (strcmp(word, errors[i].name) == 0) {
            r->what = DO_ERROR;
            r->error = errors[i].error;
        }
    }
    for (size_t i = 0; i < sizeof whats / sizeof whats[0]; i++) {
        if (strcmp(word, whats[i].name) == 0) {
            r->what = whats[i].what;
        }
    }
}

static void parse_pair(struct fault_rule *r, const char *key, char *value)
{
    if (strcmp(key, "on") == 0) {
        r->ops = parse_ops(value);
    } else if (strcmp(key, "do") == 0) {
        parse_what(r, value);
    } else if (strcmp(key, "path") == 0) {
        (void)snprintf(r->path, sizeof r->path, "%s", value);
    } else if (strcmp(key, "thread") == 0) {
        (void)snprintf(r->thread, sizeof r->thread, "%s", value);
    } else {
        uint64_t n = strtoull(value, NULL, 10);

        r->from = strcmp(key, "from") == 0 ? n : r->from;
        r->times = strcmp(key, "times") == 0 ? n : r->times;
        r->permille = strcmp(key, "permille") == 0 ? n : r->permille;
        r->seed = strcmp(key, "seed") == 0 ? n : r->seed;
        r->ms = strcmp(key, "ms") == 0 ? n : r->ms;
    }
}

static bool parse_line(struct fault_rule *r, char *line)
{
    char *state = NULL;

    memset(r, 0, sizeof *r);
    r->from = 1;
    r->times = UINT64_MAX;
    r->permille = 1000;
    for (char *w = strtok_r(line, " ", &state); w != NULL;
         w = strtok_r(NULL, " ", &state)) {
        char *value = strchr(w, '=');

        if (value != NULL) {
            *value = '\0';
            parse_pair(r, w, value + 1);
        }
    }
    return r->ops != 0;
}

unsigned fault_parse(const char *text, struct fault_rule *rules, unsigned max)
{
    char copy[FAULT_FILE_BYTES], *state = NULL;
    unsigned n = 0;

    (void)snprintf(copy, sizeof copy, "%s", text);
    for (char *line = strtok_r(copy, "\n", &state); line != NULL && n < max;
         line = strtok_r(NULL, "\n", &state)) {
        n += parse_line(&rules[n], line);
    }
    return n;
}

/* splitmix64 */
static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15ull;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ x >> 27) * 0x94D049BB133111EBull;
    return x ^ x >> 31;
}

bool fault_applies(struct fault_rule *r, unsigned op, const char *path,
                   const char *thread)
{
    uint64_t call;

    if ((r->ops & op) == 0 || (r->path[0] != '\0' && strstr(path, r->path) == NULL) ||
        (r->thread[0] != '\0' && strcmp(thread, r->thread) != 0)) {
        return false;
    }
    call = atomic_fetch_add(&r->seen, 1) + 1;
    return call >= r->from && call - r->from < r->times &&
           mix(r->seed ^ mix(call)) % 1000 < r->permille;
}
