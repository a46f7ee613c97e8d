/*
 * query - a URL's query, or a body of application/x-www-form-urlencoded, to the JSON
 * object that it stands for. Pure but for the room.
 *
 * Read as the WHATWG's URL standard reads it (5.1): & divides, ; does not; + is a space; a
 * percent sign that no two hex digits follow stands for itself; empty sequences are
 * passed over. It differs where a text would be lost: bytes that are not UTF-8 are refused.
 */
#pragma once

#include "decode/params.h"

/* *event, in the room, is valid until the next call with it. Unless PARAMS_OK, *e is
 * filled. max_bytes bounds what the object may take. */
enum params_result query_write(const struct params_rules *rules,
                               const struct scan_limits *limits, struct str text,
                               size_t max_bytes, struct params_room *room,
                               struct str *event, struct params_error *e) MUST_USE;
