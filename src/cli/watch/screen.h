/*
 * screen - the facts of a server as text for people: what "sluice status" prints, and what
 * "sluice top" draws again and again.
 *
 * Owner: the caller. A screen is lines without control characters; colours are added as they
 * are written.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct cJSON;

enum screen_tone { TONE_PLAIN, TONE_TITLE, TONE_GOOD, TONE_WARN, TONE_BAD, TONE_FAINT };
enum screen_view {
    VIEW_ALL,
    VIEW_CLIENTS,
    VIEW_REFUSALS,
    VIEW_SINKS,
    VIEW_POLICY,
    N_VIEWS
};
enum screen_order { ORDER_NAME, ORDER_BEHIND, ORDER_RATE, N_ORDERS };

struct screen {
    struct screen_line {
        enum screen_tone tone;
        char *text; /* UTF-8 */
    } * list;
    size_t n, room;
    size_t part; /* the first line below what is wrong: an empty one */
};

struct screen_options {
    const char *where;     /* the address, for the first line */
    enum screen_view view; /* VIEW_ALL: a little of each part; others: one part whole */
    enum screen_order order; /* of sinks and refusals */
    size_t
        columns; /* long texts of the first lines are broken there; 0: they are not */
};

void screen_facts(struct screen *s, const struct cJSON *facts,
                  const struct screen_options *o);
void screen_free(struct screen *s);

/* The escape sequences of a tone; "" without colours. */
const char *screen_begin(enum screen_tone tone, bool colours);
const char *screen_end(enum screen_tone tone, bool colours);
