/*
 * condition - the facts about the server itself: spool and disk, the policy and its
 * canary, threads, descriptors, certificates, an upgrade.
 *
 * Pure; one thread.
 */
#pragma once

struct findings;

void condition_server(struct findings *m);
void condition_spool(struct findings *m);
void condition_policy(struct findings *m);
