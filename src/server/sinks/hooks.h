/*
 * hooks - a sink's questions to its policy, as the C calls that a sink makes.
 *
 *   sink_hooks_new (supervisor) -> (the sink's thread asks)* -> sink_hooks_free
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "sink/hooks.h"

struct err;
struct policy;
struct sink_lua;

/* A Lua state of the sink's own. *out NULL: its plan has no functions, and *hooks
 * is empty. False and *e: the state can't be made. */
bool sink_hooks_new(struct policy *p, uint32_t sink, struct sink_lua **out,
                    struct sink_hooks *hooks, struct err *e) MUST_USE;
void sink_hooks_free(struct sink_lua *l); /* NULL is fine; and those that it keeps */
/* Whether one is l, or kept by it. */
bool sink_hooks_has(const struct sink_lua *l, const struct sink_lua *one);
/* Both live until the result, which may be NULL, is freed: the sink may call either. */
struct sink_lua *sink_hooks_join(struct sink_lua *l, struct sink_lua *before) MUST_USE;
