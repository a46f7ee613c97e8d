/*
 * multipart - a body of multipart/form-data (RFC 7578) to the JSON object that its fields
 * stand for. Pure but for the room.
 *
 * Fields only: a part with a file name is refused. Lines end in CR LF; nothing but white
 * space stands before the first boundary and after the last one.
 */
#pragma once

#include "decode/params.h"

/* The boundary of a Content-Type, in out; out.n is 0: it has none, or no good one. */
enum { BOUNDARY_MAX = 70 };
struct str multipart_boundary(struct str content_type, char out[BOUNDARY_MAX]);

/* As query_write. */
enum params_result multipart_write(const struct params_rules *rules,
                                   const struct scan_limits *limits,
                                   struct str boundary, struct str body,
                                   size_t max_bytes, struct params_room *room,
                                   struct str *event, struct params_error *e) MUST_USE;
