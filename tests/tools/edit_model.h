/*
 * edit_model - the results of edits by path, in cJSON: found, may be set, set or
 * removed. The oracle of tests/unit/policy/run/test_edits.c.
 */
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

static const char *const model_names[] = {"a", "b", "a.b", "ip", "x[1]", "\\"};

struct step {
    int key, at; /* at from 1; 0: the key */
};

static inline const cJSON *model_find(const cJSON *v, const struct step *s, unsigned n)
{
    if (n == 0) {
        return v;
    }
    if (s->at > 0) {
        const cJSON *x = cJSON_IsArray(v) ? cJSON_GetArrayItem(v, s->at - 1) : NULL;

        return x == NULL ? NULL : model_find(x, s + 1, n - 1);
    }
    for (const cJSON *x = cJSON_IsObject(v) ? v->child : NULL; x != NULL; x = x->next) {
        const cJSON *found = strcmp(x->string, model_names[s->key]) == 0
                                 ? model_find(x, s + 1, n - 1)
                                 : NULL;

        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

/* Whether value can be set at that path of v (NULL: absent). */
static inline bool model_may(const cJSON *v, const struct step *s, unsigned n)
{
    bool may = true;

    if (n == 0) {
        return true;
    }
    if (s->at > 0) {
        return cJSON_IsArray(v) && cJSON_GetArraySize(v) >= s->at &&
               model_may(cJSON_GetArrayItem(v, s->at - 1), s + 1, n - 1);
    }
    if (v == NULL || cJSON_IsNull(v)) {
        return model_may(NULL, s + 1, n - 1);
    }
    if (!cJSON_IsObject(v)) {
        return false;
    }
    if (!cJSON_HasObjectItem(v, model_names[s->key])) {
        return model_may(NULL, s + 1, n - 1);
    }
    for (const cJSON *x = v->child; x != NULL; x = x->next) {
        may = may && (strcmp(x->string, model_names[s->key]) != 0 ||
                      model_may(x, s + 1, n - 1));
    }
    return may;
}

/* The new value of v (taken; NULL: absent); value NULL: the part is removed. */
static inline cJSON *model_put(cJSON *v, const struct step *s, unsigned n,
                               const cJSON *value)
{
    bool seen = false;

    if (n == 0) {
        cJSON_Delete(v);
        return cJSON_Duplicate(value, true);
    }
    if (value != NULL && (v == NULL || cJSON_IsNull(v))) {
        cJSON_Delete(v);
        v = cJSON_CreateObject();
    }
    if (s->at > 0) {
        cJSON *x = cJSON_IsArray(v) ? cJSON_GetArrayItem(v, s->at - 1) : NULL;

        if (x != NULL && n == 1 && value == NULL) {
            cJSON_DeleteItemFromArray(v, s->at - 1);
        } else if (x != NULL) {
            cJSON *new = model_put(cJSON_Duplicate(x, true), s + 1, n - 1, value);

            cJSON_ReplaceItemInArray(v, s->at - 1, new);
        }
        return v;
    }
    for (cJSON *x = cJSON_IsObject(v) ? v->child : NULL, *next; x != NULL; x = next) {
        next = x->next;
        if (strcmp(x->string, model_names[s->key]) != 0) {
            continue;
        }
        if (n == 1 && (value == NULL || seen)) {
            cJSON_Delete(cJSON_DetachItemViaPointer(v, x));
        } else {
            cJSON *new = model_put(cJSON_Duplicate(x, true), s + 1, n - 1, value);

            cJSON_free(new->string); /* the duplicate's */
            new->string = strdup(model_names[s->key]);
            cJSON_ReplaceItemViaPointer(v, x, new);
        }
        seen = true;
    }
    if (!seen && value != NULL) {
        cJSON_AddItemToObject(v, model_names[s->key],
                              model_put(NULL, s + 1, n - 1, value));
    }
    return v;
}

/* Objects in the order of their keys; copies of a key stay in their order. */
static inline void sort(cJSON *v)
{
    cJSON *list[64];
    int n = 0;

    for (cJSON *x = v->child; x != NULL; x = x->next) {
        sort(x);
        list[n++] = x;
    }
    for (int i = 1; cJSON_IsObject(v) && i < n; i++) {
        for (int k = i; k > 0 && strcmp(list[k - 1]->string, list[k]->string) > 0;
             k--) {
            cJSON *x = list[k];

            list[k] = list[k - 1];
            list[k - 1] = x;
        }
    }
    if (n > 0) {
        v->child = list[0];
        list[0]->prev = list[n - 1];
        for (int i = 0; i < n; i++) {
            list[i]->next = i + 1 < n ? list[i + 1] : NULL;
            if (i > 0) {
                list[i]->prev = list[i - 1];
            }
        }
    }
}

static inline char *sorted(const cJSON *v)
{
    cJSON *copy = cJSON_Duplicate(v, true);
    char *text;

    sort(copy);
    text = cJSON_PrintUnformatted(copy);
    cJSON_Delete(copy);
    return text;
}
