/*
 * counted - the facts that counters tell: what the alerts of docker/prometheus/rules.yml read
 * and no other part of the facts says, so that whoever is called by an alert finds it.
 *
 * Pure; one thread.
 */
#pragma once

struct findings;

/* Adds a problem for each fault that counts now, and a note for one that has counted since
 * the start; at most 8 of a counter, and one for the rest. */
void counted_facts(struct findings *m);
