/*
 * asset - the files of the admin listener's page, which the binary carries: their
 * answers, with an ETag and a compressed form.
 *
 * The supervisor's thread. A compressed form is made on first use and lives as long as
 * the process.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"

struct http_request;
struct http_view;

/* "index.html", "page.js"; NUL-terminated. {NULL, 0}: there is no such file. Made by
 * policy/load/embed.cmake at build time. */
struct str asset_text(const char *name);

/* Whether the page has this path: "/" or "/page/" and the name of a file. */
bool asset_is(struct str path);

/* Answers GET or HEAD of such a path. */
void asset_answer(struct http_request *r, const struct http_view *v);

/* The headers that each of the page's answers has. */
extern const char asset_headers[];
