/*
 * data_error - the meaning of a ClickHouse server's answer for an upload's batch. By
 * the server's code, never by the HTTP status, which differs between versions. Pure;
 * any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "sink/sink.h"

struct data_error {
    enum sink_verdict_kind kind;
    int code;            /* 0: the answer has none */
    int64_t row;         /* of those sent, from 0; -1: not said */
    bool too_many_parts; /* go slower, and in larger batches */
    bool unknown;        /* SINK_RETRY, because the code is not known: it may be the
                            rows */
    bool view;           /* a materialized view of the table failed */
    bool login;          /* SINK_SETUP, which says nothing of the table */
    bool too_large;      /* SINK_SPLIT: by its bytes */
    enum sink_verdict_kind alone; /* SINK_SPLIT of one row; SINK_OK: SINK_SETUP */
    int64_t after_ms;             /* the wait that the server asks for; 0: none */
};

/* status 0: no answer came; sent: the whole body had gone out. header: the code
 * of X-ClickHouse-Exception-Code, 0: none. */
struct data_error data_error_of(int status, bool sent, int header, struct str body);
