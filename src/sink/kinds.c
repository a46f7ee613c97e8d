/* The kinds of sink that there are: each policy word's operations. A new kind of sink
 * is one more row here, its word in plan/plan.c, and its options in words_sinks.lua. */
#include "sink/sink.h"

const struct sink_ops *sink_kind_ops(enum sink_kind kind)
{
    static const struct sink_ops *const ops[SINK_KINDS] = {
        [SINK_KIND_NULL] = &sink_null,
        [SINK_KIND_FILE] = &sink_file,
        [SINK_KIND_KAFKA] = &sink_kafka,
        [SINK_KIND_CLICKHOUSE] = &sink_clickhouse,
        [SINK_KIND_HTTP] = &sink_http};

    return ops[kind];
}
