/*
 * cloudevent - a CloudEvent in HTTP's binary mode (attributes in ce- headers, data in
 * the body) as the JSON object that structured mode would have sent. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "plan/request.h"

/* The member that the body becomes (JSON format, 3.1.1). */
enum cloudevent_data {
    CLOUDEVENT_NONE,  /* no body: no data */
    CLOUDEVENT_JSON,  /* data, as sent; the caller checks that it is JSON */
    CLOUDEVENT_TEXT,  /* data, a string */
    CLOUDEVENT_BASE64 /* data_base64 */
};

/* By Content-Type, and whether the body is the text that it says. */
enum cloudevent_data cloudevent_data(const struct policy_request *q, struct str body);

/* The most bytes that cloudevent_write may write. */
size_t cloudevent_bound(const struct policy_request *q, struct str body,
                        enum cloudevent_data kind);

/* Writes the object to out; returns its length. 0: the headers are no CloudEvent's,
 * *why says why (static text). */
size_t cloudevent_write(const struct policy_request *q, struct str body,
                        enum cloudevent_data kind, char *out, const char **why);
