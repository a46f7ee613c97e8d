/*
 * event - the decoded events of one request, as views into its body.
 *
 *   scan_body fills a struct event_batch -> checks and hooks mark its events
 *   -> accepted ones are copied to the spool -> the next request reuses it
 *
 * Owned by one worker. The arrays are allocated once and never freed while
 * the worker lives; contents live until the next scan_body. This text, minus
 * its # lines, is also fed to LuaJIT's ffi.cdef (policy/library/ffi.h): plain C only.
 */
#pragma once

#include <stdint.h>

struct arena;
struct shape;

/* The kind of value in a slot. A slot's tag is kind | length << 4. */
enum slot_kind {
    SLOT_ABSENT = 0,
    SLOT_NULL = 1,
    SLOT_FALSE = 2,
    SLOT_TRUE = 3,
    SLOT_NUMBER = 4,  /* off, length: the digits as sent */
    SLOT_STRING = 5,  /* off, length: between the quotes, nothing to unescape */
    SLOT_ESCAPED = 6, /* the same, but with backslash escapes inside */
    SLOT_OBJECT = 7,  /* off, length: with the braces */
    SLOT_ARRAY = 8
};

/* One field that the schema names, of one event. */
struct slot {
    uint32_t off; /* into event_batch.body */
    uint32_t tag; /* kind | length << 4 */
    double num;   /* SLOT_NUMBER: its value; after a check of an enum: the
                     index of the value; of a time: ms since 1970 */
};

/* The fate of an event. */
enum event_fate {
    EVENT_ACCEPT = 0,
    EVENT_REJECT = 1, /* with code, message and maybe field */
    EVENT_DROP = 2,   /* sampled away: counted, answered as accepted */
    EVENT_DEAD = 3    /* a hook failed: goes to the dead letters */
};

enum event_flag {
    EVENT_NEWLINE = 1,      /* raw newlines inside: spaces when stored */
    EVENT_EDITED = 2,       /* has edits */
    EVENT_ROUTED = 4,       /* to says the streams, not the route */
    EVENT_RETRY = 8,        /* the same event may pass later */
    EVENT_PREDICTED = 16,   /* all its own keys are in the scanner's shape */
    EVENT_REPEAT = 32,      /* dedup has seen its key */
    EVENT_UNVERIFIED = 64,  /* EVENT_REJECT: its signature was not good */
    EVENT_MINUS_ZERO = 128, /* an int of the schema is -0 */
    EVENT_HOOK_CODE = 256,  /* EVENT_REJECT: a hook gave the code */
    EVENT_MOVED = 512       /* error_at is no place in what the client sent */
};

enum edit_how {
    EDIT_SET = 0,    /* the key gets the value, also where the client sent it */
    EDIT_REMOVE = 1, /* the key goes away */
    EDIT_DEFAULT = 2 /* the key gets the value unless the event has it */
};

/* One key changed, by a hook or by the route. key and value are JSON text (the
 * key with its quotes) in the request's arena, its body or the plan. */
struct edit {
    uint32_t next; /* 1 + index into event_batch.edits, 0: none */
    uint32_t value_len;
    uint32_t key_len;
    uint32_t how; /* enum edit_how */
    const char *key;
    const char *value;
    const char *base; /* the number of edits that edits_revert goes back to */
    uint32_t base_len;
    uint32_t base_how; /* 1 + how; 0: nothing was replaced */
};

struct event {
    uint32_t off, len;   /* the raw slice in event_batch.body */
    uint32_t epoch;      /* of the request; views of an older one are dead */
    uint32_t flags;      /* of event_flag */
    uint32_t fate;       /* enum event_fate */
    uint32_t n_edits;    /* at most 32 */
    uint32_t edit_first; /* 1 + index into event_batch.edits, 0: none */
    uint32_t edit_last;
    uint64_t to; /* EVENT_ROUTED: bit i is plan->streams[i] */
    /* EVENT_REJECT and EVENT_DEAD; in the arena or static. NULL: none */
    const char *code;    /* NUL-terminated word: "missing_field" */
    const char *field;   /* NUL-terminated path of the field */
    const char *message; /* NUL-terminated, for a human */
    uint32_t index;      /* as the client counts, from 0 */
    uint32_t
        error_at; /* 1 + offset in the body of the text that is not JSON; 0: none */
    struct slot *slots; /* as many as the schema has fields */
};

/* Of a batch's envelope that a route copies into events. */
enum { ENVELOPE_FIELDS_MAX = 16 };

/* A value of an object around the events first to end - 1. */
struct envelope_run {
    uint32_t first, end;
    uint32_t place; /* of the value in the envelope's fields */
    uint32_t unused;
    struct slot value;
};

/* Where an event stood in event_batch.sent. */
struct sent_place {
    uint32_t off, len;
};

struct event_batch {
    const char *body; /* at least 64 readable bytes follow body_len */
    uint32_t body_len;
    uint32_t n;          /* events */
    uint32_t max_events; /* size of slots, in events */
    uint32_t n_slots;    /* per event */
    uint32_t epoch;      /* raised by scan_body */
    uint32_t n_edits;    /* used of edits */
    uint32_t max_edits;
    uint32_t n_base;      /* edits that hooks found there */
    uint32_t shaped_from; /* predicted events before fit an older shape */
    struct event *events; /* EVENTS_MAX; never moves */
    struct slot *slots;   /* max_events * SCHEMA_FIELDS_MAX grown on need */
    struct edit *edits;
    struct arena *arena; /* of the request: messages, edits */
    struct shape *shape; /* the scanner's memory of the last event's keys */
    double wait_ms;      /* until an event that limits have refused may pass; 0: none
                            was refused */
    struct slot envelope[ENVELOPE_FIELDS_MAX]; /* filled by scan_enveloped: values of
                                                  the body's own object */
    struct envelope_run *runs; /* and of the objects in its lists, innermost first */
    uint32_t n_runs, max_runs;
    uint32_t n_cut;  /* texts that a schema has cut */
    uint32_t stored; /* its events were stored before: times are milliseconds */
    /* Of a route's own answer, in the arena; set by reply_prepare. */
    const char *location; /* NUL-terminated; NULL: there is no good one */
    const char *filled;   /* its body, if that has values of the event */
    uint32_t filled_len;
    /* The body before members were dropped, and where each event stood in it; NULL: body
     * has what was sent. */
    const char *sent;
    const struct sent_place *places;
};
