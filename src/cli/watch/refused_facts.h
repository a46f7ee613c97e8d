/*
 * refused_facts - the facts about refusals: the list of codes, and which of them an operator
 * should know of: one that refuses much now, on a quiet route too, and a smaller share that
 * lasts.
 *
 * Pure; one thread.
 */
#pragma once

struct findings;

/* Adds "refusals" and "refusals_more" to the facts, problems and notes. */
void refused_facts(struct findings *m);
