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
enum screen_order { ORDER_NAME, ORDER_BEHIND, ORDER_RATE };

struct screen {
    struct screen_line {
        enum screen_tone tone;
        char *text; /* UTF-8 */
    } * list;
    size_t n, room;
};

struct screen_options {
    const char *where;       /* the address, for the first line */
    enum screen_order order; /* of sinks and refusals */
    bool all;                /* all refusals, not only the first ones */
};

void screen_facts(struct screen *s, const struct cJSON *facts,
                  const struct screen_options *o);
void screen_free(struct screen *s);

/* The escape sequences of a tone; "" without colours. */
const char *screen_begin(enum screen_tone tone, bool colours);
const char *screen_end(enum screen_tone tone, bool colours);
