/*
 * agent_sets - the files of user agents that a policy names: one in memory for all snapshots
 * whose file has the same bytes, and a reader of each in each state.
 *
 *   agent_sets_open -> agent_sets_read (each state) -> agent_sets_fini -> agent_sets_close
 *
 * The threads that load and that free a snapshot; a reader is its state's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agents/rule.h"
#include "base/attr.h"

struct agents;
struct policy_state;
struct snapshot_file;

/* f's text becomes that of the user agents of the same bytes, which all snapshots of the
 * process share. False after problems. */
bool agent_sets_open(struct snapshot_file *f, agent_problem_fn *problem,
                     void *arg) MUST_USE;
struct agents *agent_sets_share(struct agents *a); /* one user more */
void agent_sets_close(struct agents *a);           /* one less */

/* The place of f's reader in s, which is made when it is not there. */
int32_t agent_sets_read(struct policy_state *s, const struct snapshot_file *f);
void agent_sets_fini(struct policy_state *s);
