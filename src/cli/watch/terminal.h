/*
 * terminal - the terminal of a program that draws a whole screen: keys without Return, and
 * everything as it was at each end, also by a signal, and while it is stopped (Ctrl-Z).
 *
 *   terminal_begin -> (terminal_size, terminal_draw, terminal_key)* -> terminal_end
 *
 * One of them; the main thread. Signals only come while terminal_key waits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

/* Whether standard input and output are a terminal that can be drawn on. */
bool terminal_fits(void);

bool terminal_begin(void) MUST_USE; /* false: errno */
void terminal_end(void);

struct terminal_size {
    int columns, rows;
};
struct terminal_size terminal_size(void);

/* Writes it whole, and waits while the terminal takes nothing. False: the terminal has gone,
 * or a signal ended the wait. A stop drops the rest; KEY_RESIZE is next then. */
bool terminal_draw(const char *p, size_t n) MUST_USE;

enum {
    KEY_NONE = 0, /* the time is over, or the size is another */
    KEY_UP = 1000,
    KEY_DOWN,
    KEY_PAGE_UP,
    KEY_PAGE_DOWN,
    KEY_RESIZE,
    KEY_GONE /* of the terminal, or a signal to end: terminal_end is next, and then
                terminal_signal */
};

/* The next key within ms: its letter, or one of the above. */
int terminal_key(long ms);

/* The signal that ended it; 0: none. */
int terminal_signal(void);
