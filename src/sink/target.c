#include "sink/target.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sink/columns.h"

struct target *target_new(const struct clickhouse_plan *plan, struct err *e)
{
    const char *table = plan->table == NULL ? "" : plan->table;
    struct columns *columns = NULL;
    struct target *t;

    if (plan->n_columns > 0) {
        columns = columns_new(plan->columns, plan->n_columns, e);
        if (columns == NULL) {
            return NULL;
        }
    }
    t = mem_alloc(sizeof *t + strlen(table) + 1);
    *t = (struct target){.refs = 1, .columns = columns};
    (void)strcpy(t->table, table);
    return t;
}

struct target *target_ref(struct target *t)
{
    t->refs++;
    return t;
}

void target_unref(struct target *t)
{
    if (t == NULL || --t->refs > 0) {
        return;
    }
    columns_free(t->columns);
    free(t);
}
