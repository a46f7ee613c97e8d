/*
 * text_format - whether a text has the form that a str field asks for. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

enum text_format {
    TEXT_ANY = 0,
    TEXT_UUID,  /* 8-4-4-4-12 hexadecimal digits */
    TEXT_IP,    /* IPv4 or IPv6, without a port or zone */
    TEXT_URL,   /* scheme://host..., without spaces */
    TEXT_EMAIL, /* local@domain.tld, without a display name */
    TEXT_FORMATS
};

/* The policy's word, and back; TEXT_ANY: there is no such word. */
enum text_format text_format_of(struct str word);

/* "a UUID such as ..." for errors. */
const char *text_format_expected(enum text_format f);

/* text is valid UTF-8 without escapes. */
bool text_has_format(enum text_format f, struct str text);
