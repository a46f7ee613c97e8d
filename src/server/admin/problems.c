#include "server/admin/problems.h"

#include <cjson/cJSON.h>

#include "policy/load/load.h"

static void add_text(cJSON *o, const char *key, const char *text)
{
    if (text != NULL) {
        (void)cJSON_AddStringToObject(o, key, text);
    }
}

/* For an editor, the file as a whole is its first line. */
static cJSON *problem_json(const struct policy_problem *x)
{
    cJSON *o = cJSON_CreateObject();
    int column = x->column > 0 ? x->column : 1;

    add_text(o, "file", x->file);
    (void)cJSON_AddNumberToObject(o, "line", x->line > 0 ? x->line : 1);
    (void)cJSON_AddNumberToObject(o, "column", column);
    (void)cJSON_AddNumberToObject(o, "end_column",
                                  x->end_column > column ? x->end_column : column);
    add_text(o, "severity", x->note ? "note" : "error");
    add_text(o, "message", x->message);
    add_text(o, "path", x->path);
    add_text(o, "suggestion", x->suggestion);
    return o;
}

struct cJSON *problems_json(const struct policy_report *report)
{
    cJSON *list = cJSON_CreateArray();

    for (unsigned i = 0; i < report->n_problems + report->n_notes; i++) {
        (void)cJSON_AddItemToArray(list, problem_json(&report->list[i]));
    }
    return list;
}
