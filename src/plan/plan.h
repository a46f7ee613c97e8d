/*
 * plan - a loaded policy as plain immutable data, which the threads read.
 *
 *   (policy/load/load.c builds it in plan->arena) -> plan_ref/plan_unref -> gone
 *
 * Immutable once published, counted, any thread. All pointers live in the
 * plan's own arena; names are NUL-terminated.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/str.h"
#include "decode/path.h"
#include "decode/scan.h"
#include "plan/instant.h"
#include "plan/limit.h"
#include "plan/listener.h"
#include "plan/location.h"
#include "plan/text_format.h"
#include "plan/tls_plan.h"
#include "plan/whole.h"

/* PLAN_STREAMS_MAX counts the internal stream of the dead letters. */
enum {
    PLAN_STREAMS_MAX = 64,
    PLAN_SINKS_MAX = 64,
    PLAN_ROUTES_MAX = 256,
    PLAN_LISTENERS_MAX = 65
};

enum field_type {
    FIELD_STR,
    FIELD_NUM,
    FIELD_INT,
    FIELD_BOOL,
    FIELD_ENUM,
    FIELD_TIME,
    FIELD_ANY,
    FIELD_LIST
};

struct text_pattern; /* plan/text_pattern.h */

struct field {
    struct str path; /* "properties.page" */
    enum field_type type;
    bool required;
    bool has_min, has_max;
    double min, max;          /* str: code points; num, int: value; list: items */
    const struct str *values; /* enum */
    uint32_t n_values;
    int64_t max_age_ms;  /* time: -1 = any */
    int64_t max_skew_ms; /* time: -1 = any */
    /* What a client may send besides. */
    bool
        converts; /* int: 1.0, 1e3, and digits in quotes; num: a number in quotes; bool:
                      a truth in quotes, 1 and 0 */
    struct whole_range range;           /* int: bits 0: as sent, of 64 bits */
    bool has_form;                      /* str: format or pattern */
    enum text_format format;            /* str */
    const struct text_pattern *pattern; /* str: NULL: any text */
    unsigned formats;                   /* time: of instant_format */
    enum instant_unit unit;             /* time: INSTANT_SENT: as sent */
    const struct field *item;           /* list: its path is the list's */
    /* What is stored instead (rewrite.h). */
    bool rewrites;
    uint32_t cut;                  /* str: code points that are kept; 0: all */
    struct str key;                /* rewrites: the top-level key, as JSON text */
    const struct path *path_parts; /* rewrites: path, read */
};

/* What happens to members that the schema does not name. */
enum others { OTHERS_KEEP, OTHERS_DROP, OTHERS_REFUSE };

/* Where something stands in the policy, for people. */
struct code_place {
    const char *file; /* NULL: nowhere */
    uint32_t line, end;
};

struct schema {
    const char *name;                /* for messages; "schema at conf/x.lua:41" */
    struct field *fields;            /* slot i of an event is fields[i] */
    const struct code_place *places; /* of the fields */
    uint32_t n_fields;
    bool rewrites; /* one of the fields does */
    enum others others;
    struct scan_keys *keys; /* owned by the plan */
};

enum ack { ACK_WRITTEN, ACK_SYNCED, ACK_DELIVERED };
enum when_full { FULL_REFUSE, FULL_SKIP };

struct stream_sink {
    uint32_t sink; /* index into plan->sinks */
    enum when_full when_full;
    uint64_t max_lag_bytes; /* FULL_SKIP */
};

enum {
    DEDUP_PARTS_MAX = 8 /* values that identify an event together */
};

struct stream_plan {
    const char *name;
    enum ack ack;
    uint64_t max_bytes;   /* of segments; > 0 after loading */
    int64_t delivered_ms; /* ACK_DELIVERED: then 504 */
    struct str
        dedup_key; /* its paths, joined by commas, for its name; NULL: no dedup */
    struct str dedup_parts[DEDUP_PARTS_MAX]; /* paths, NUL-terminated */
    uint32_t n_dedup_parts;
    int64_t dedup_window_ms;
    uint32_t dedup_max_keys;
    bool dedup_persist;
    const char *index_field; /* path of the id; NULL: no index */
    int64_t index_keep_ms;
    uint64_t index_max_bytes;
    struct stream_sink *sinks;
    uint32_t n_sinks;
    const char *key;   /* path of a sink's message key, whose place the spool
                                notes; NULL: no sink has one */
    uint64_t key_hash; /* plan_key_hash(key) */
};

enum sink_kind {
    SINK_KIND_NULL,
    SINK_KIND_FILE,
    SINK_KIND_KAFKA,
    SINK_KIND_CLICKHOUSE,
    SINK_KIND_HTTP,
    SINK_KINDS
};
enum compress { COMPRESS_NONE, COMPRESS_GZIP, COMPRESS_ZSTD };

struct batch_plan {
    uint32_t target, min, max; /* events */
    uint64_t max_bytes;
    int64_t linger_ms;
};

/* A name and its value; both NUL-terminated. */
struct pair_plan {
    const char *name, *value;
};

struct pool_plan {
    uint32_t max_open, max_idle;
    int64_t max_lifetime_ms, max_idle_time_ms;
};

struct breaker_plan {
    uint32_t max_requests;
    int64_t interval_ms, timeout_ms, slow_ms;
    bool has_trip; /* ready_to_trip, in the sink's Lua state */
};

enum { HEDGE_OFF = -2, HEDGE_P95 = -1 };

struct hedge_plan {
    int64_t after_ms; /* or HEDGE_OFF, HEDGE_P95 */
    double max_ratio;
    bool may_duplicate;
};

/* The options that sinks over HTTP share. */
struct upload_plan {
    const char *const *urls;
    uint32_t n_urls;
    const char *ca;         /* NULL: the system's */
    const char *cert, *key; /* PEM files; NULL: none, and in cert */
    const char *proxy;      /* NULL: none */
    bool verify;
    int64_t timeout_ms;
    uint32_t max_in_flight;
    struct pool_plan pool;
    struct breaker_plan breaker;
    struct hedge_plan hedge;
};

struct clickhouse_plan {
    const char *table, *user, *password; /* user, password: NULL, none */
    const struct pair_plan *settings, *columns;
    uint32_t n_settings, n_columns;
    bool zstd, gzip;                     /* neither: the codecs that the server knows */
    bool check;                          /* that the table can hold the rows */
    const struct schema *const *schemas; /* of the routes that feed it */
    uint32_t n_schemas;
};

struct http_plan {
    const char *method, *type; /* type: Content-Type; NULL: the format's */
    const char *id_header;     /* NULL: none */
    const uint16_t *taken;     /* statuses that count as 2xx */
    uint32_t n_taken;
    const struct pair_plan *headers;
    uint32_t n_headers;
    bool array; /* one JSON array, not NDJSON */
    enum compress compress;
};

enum kafka_framing { KAFKA_EVENT, KAFKA_BATCH };
enum kafka_partitioner { KAFKA_BY_KEY, KAFKA_STICKY, KAFKA_LEAST_BYTES };

struct kafka_plan {
    const char *brokers, *topic, *compression;
    const char *topic_by, *key; /* paths; NULL: none */
    const char *timestamp;      /* path; NULL: the time of arrival */
    uint32_t max_topics;
    int64_t topic_wait_ms; /* of an event whose own topic the cluster lacks */
    bool has_topic;        /* topic_by is a function, in the sink's Lua state */
    uint64_t key_hash;     /* plan_key_hash(key) */
    enum kafka_framing framing;
    enum kafka_partitioner partitioner;
    bool position; /* the spool position in headers */
    struct breaker_plan breaker;
    const char *hedge_brokers; /* a second cluster; NULL: none */
    struct hedge_plan hedge;
    const struct pair_plan *options;
    uint32_t n_options;
};

struct sink_plan {
    const char *name;
    enum sink_kind kind;
    struct batch_plan batch;
    bool from_oldest; /* a new one starts at the spool's oldest event */
    const char *was;  /* the sink whose journal it takes over; NULL: none */
    /* file */
    const char *dir; /* as written in the policy; relative: below data */
    uint64_t rotate_bytes;
    int64_t rotate_age_ms;
    enum compress compress;
    /* kafka, clickhouse, http */
    uint64_t dead_max_bytes;
    double dead_searches; /* http, clickhouse: uploads a minute to find bad rows */
    bool adapt_latency, has_adapt;
    struct upload_plan upload; /* clickhouse, http */
    struct clickhouse_plan clickhouse;
    struct http_plan http;
    struct kafka_plan kafka;
};

/* BODY_CLOUDEVENTS: one event or many, in the three modes of CloudEvents over
 * HTTP; the content type tells. */
/* BODY_QUERY: the request's query is the event. BODY_ANY: one event; the method and the
 * content type tell whether it is a query, a form or JSON. */
enum body_kind {
    BODY_EVENT,
    /* Several events, see route_takes_many: */
    BODY_BATCH,
    BODY_EVENTS, /* one event, an array, or values one after the other; NDJSON */
    BODY_BULK,   /* lines in pairs: an action and the event */
    BODY_CLOUDEVENTS,
    /* One again: */
    BODY_QUERY,
    BODY_FORM,
    BODY_ANY
};
enum on_error { ON_ERROR_DEAD_LETTER, ON_ERROR_REJECT, ON_ERROR_ACCEPT };

/* A content type that a route takes. */
struct type_plan {
    struct str type; /* "text/plain", without parameters; "" is any */
    bool ndjson;
};

/* What stands after a part's text. Of an event: a field, and the rest of the first line
 * where it was refused. Of all events: the second line. */
enum fill_kind {
    FILL_FIELD,
    FILL_STATUS,
    FILL_CODE,
    FILL_INDEX,
    FILL_ACCEPTED,
    FILL_REJECTED,
    FILL_ERRORS,
    FILL_ITEMS,
    FILL_MESSAGE /* of an event, or of the first that was refused */
};

/* A text with values: each part is a text, then a value, of FILL_FIELD that at a path;
 * path.n 0: none. n 0: no such text. */
struct fill_part {
    struct str text, path;
    enum fill_kind kind;
};
struct fill_plan {
    const struct fill_part *parts;
    uint32_t n;
};

/* Where a redirect leads: one of the three. */
struct location_plan {
    struct str field;      /* path of the url in the event; n 0: none */
    struct fill_plan fill; /* a url whose host is the policy's own */
    bool has_function;     /* among the route's hooks */
    struct location_hosts hosts;
    struct str fallback; /* p NULL: the event is refused where there is no good url */
};

/* The answer when events were accepted. */
struct answer_plan {
    int status;                          /* 2xx; 3xx with a location */
    struct str body;                     /* p is NULL: the usual one */
    struct fill_plan fill;               /* the same with values */
    struct fill_plan summary;            /* the same of many events, see summary.h */
    struct fill_plan item, item_refused; /* of one, in it */
    struct str accepted; /* instead of summary when none was refused; p NULL: it, too */
    const char *type;    /* of body */
    const char *lines;   /* headers, whole lines; NULL: none */
    int refused;         /* 4xx, when all events were refused */
    bool same_refused;   /* the answer of accepted events is given then, too */
    bool same_unstored;  /* and when they could not be stored */
    const struct location_plan *location;    /* NULL: no redirect */
    const struct refused_body *refused_body; /* of refusals; NULL: the usual one */
};

/* Browsers of other origins that may send. */
struct cors_plan {
    const char *const *origins; /* "https://shop.example" */
    uint32_t n_origins;
    bool any, credentials;
    const char *headers; /* "Content-Type, X-Key" */
    int64_t max_age_s;
};

/* The origins that may be told that deliveries are welcome (CloudEvents' web hooks). */
struct webhook_plan {
    const char *const *origins; /* "eventgrid.azure.net" */
    uint32_t n_origins;
    bool any;
    uint32_t rate; /* requests a minute; 0: no limit */
};

/* What a route does with what it refuses. */
struct refusal_plan {
    int32_t stream;      /* index into plan->streams; -1: the dead letters */
    uint64_t max_record; /* bytes of what was sent */
    double rate;         /* tokens a second: see ingest/refusals.c */
    uint32_t burst;
};

struct auth_plan;      /* plan/auth.h */
struct key_plan;       /* plan/key_table.h */
struct enrichment;     /* plan/enrich.h */
struct postback_rules; /* signature/postback.h */
struct access_plan;    /* plan/access.h */
struct networks_plan;  /* plan/limit.h */
struct params_rules;   /* decode/params.h */
struct envelope;       /* decode/envelope.h */
struct row_columns;    /* decode/rows.h */

/* What says how a body is compressed: Content-Encoding; else a parameter of the query;
 * its first bytes. */
enum body_encoding { ENCODING_BY_HEADER, ENCODING_BY_QUERY, ENCODING_BY_CONTENT };

struct route {
    const char *method;            /* "POST" */
    const char *path;              /* "/v1/events", or with parameters: "/v1/:kind" */
    bool pattern;                  /* it has parameters */
    enum body_kind body;           /* BODY_BATCH also takes NDJSON by content type */
    const struct type_plan *types; /* n_types 0: JSON's and NDJSON's */
    uint32_t n_types;
    const char *types_text;            /* "expected text/plain, ..." */
    const struct envelope *envelope;   /* NULL: events lie where they usually do */
    const struct row_columns *columns; /* of events that are arrays; NULL: none are */
    const struct params_rules *params; /* BODY_QUERY, _FORM, _ANY, or form_body */
    struct str form_body; /* BODY_BATCH, BODY_EVENTS: the field of a form that holds the
                             body; n 0: no forms */
    const struct enrichment *enrichment; /* the values that events get from it and from
                                            the request */
    const struct answer_plan *answer;    /* NULL: the usual one */
    const struct cors_plan *cors;        /* NULL: none */
    const struct webhook_plan *webhook;  /* NULL: none */
    const struct auth_plan *auth;        /* NULL: anybody may send */
    const struct networks_plan *access;  /* NULL: from anywhere */
    const struct route_limits *limits;   /* NULL: as much as they like */
    const struct schema *schema;         /* NULL: JSON objects, unchecked */
    int32_t stream;           /* index into plan->streams; -1: on_event must say */
    const int16_t *key_slots; /* by stream: where the schema has its key; -1: it has
                                 not, or the stream has no key. NULL: all -1 */
    const int16_t *id_slots;  /* the same of the fields that streams have an index of */
    uint64_t max_event;       /* bytes of an event before edits; 0: any number */
    enum body_encoding encoding;
    struct str encoding_arg; /* ENCODING_BY_QUERY: its name */
    bool partial;            /* default true */
    enum on_error on_error;
    const struct refusal_plan *on_refused; /* NULL: it is not kept */
    const struct postback_rules *postback; /* BODY_EVENT: each is signed; NULL: no */
    bool has_on_event, has_on_request;
    uint32_t index; /* own place in plan->routes; names the hooks */
    uint32_t line;  /* in file, for logs */
    const char *file;
    struct code_place on_event_at, on_request_at;
};

/* Whether a body may hold several events. */
static inline bool route_takes_many(const struct route *r)
{
    return r->body >= BODY_BATCH && r->body <= BODY_CLOUDEVENTS;
}

struct spool_plan {
    const char *dir; /* relative: below the data directory */
    uint64_t segment_bytes, max_bytes;
};

enum rollout_kind { ROLLOUT_NONE, ROLLOUT_CANARY, ROLLOUT_SHADOW };
enum share_by { SHARE_BY_CONNECTION, SHARE_BY_REQUEST, SHARE_BY_PEER, SHARE_BY_HEADER };

/* How this policy proves itself before it goes live. */
struct rollout_plan {
    enum rollout_kind kind;
    double share; /* of the requests, 0..1 */
    int64_t during_ms;
    enum share_by by;
    const char *header;    /* SHARE_BY_HEADER: its name */
    uint64_t min_requests; /* of the canary, before it goes live by itself */
    bool has_roll_back_if; /* its policy decides; else the built-in rule */
    uint32_t sample;       /* ROLLOUT_SHADOW: differences shown */
};

/* A counter or gauge of the policy's own. */
struct metric_plan {
    const char *name, *help;
    bool gauge;
    const char *const *labels; /* names */
    uint32_t n_labels, max_series;
};

struct plan {
    atomic_uint refs;
    uint64_t generation; /* set by the supervisor at publish */
    char hash[65];       /* sha-256 of all files, hex */
    struct arena arena;
    struct server_plan server;
    int log_level; /* enum log_level */
    bool log_json;
    /* The first is of server.listen; its address is NULL if the policy has only listen
     * blocks. The others stand in the order of their addresses, so that each policy with
     * the same ones has them at the same places. */
    struct listener_plan *listeners;
    uint32_t n_listeners;
    struct admin_plan admin;
    const struct access_plan *access; /* plan/access.h; NULL: no access log */
    struct spool_plan spool;
    struct stream_plan *streams;
    uint32_t n_streams;
    struct sink_plan *sinks;
    uint32_t n_sinks;
    struct route *routes;
    uint32_t n_routes;
    struct schema **schemas;
    uint32_t n_schemas;
    struct envelope *envelopes[PLAN_ROUTES_MAX]; /* owned; of routes */
    uint32_t n_envelopes;
    struct postback_rules *postbacks[PLAN_ROUTES_MAX]; /* the same */
    uint32_t n_postbacks;
    struct rollout_plan rollout;
    struct metric_plan *metrics;
    uint32_t n_metrics;
    struct limit_plan *limits;
    uint32_t n_limits;
    struct key_plan *keys;
    uint32_t n_keys;
    struct auth_secrets *secrets; /* plan/auth.h; NULL: not built yet */
    uint32_t n_dedups;            /* streams with dedup */
};

/* The hash, in a block's head, of the key whose places its entries note; NULL: 0. */
uint64_t plan_key_hash(const char *key);

/* The first 8 bytes of the plan's hash, as blocks have them. */
uint64_t plan_policy8(const struct plan *plan);

/* The policy's word for a kind of sink, and back. False: there is no such word. */
const char *plan_sink_word(enum sink_kind kind);
bool plan_sink_kind(struct str word, enum sink_kind *out) MUST_USE;

struct plan *plan_new(void);
struct plan *plan_ref(struct plan *p);
void plan_unref(struct plan *p); /* frees at zero; NULL is fine */

/* The first route for method and path that the listener at a place serves; routes stand in
 * the order in which they are tried, those without parameters first; NULL: none, and *allow (NUL-terminated list
 * of methods, allow_bytes big) is empty unless the path exists. */
const struct route *plan_route(const struct plan *p, uint32_t listener,
                               struct str method, struct str path, char *allow,
                               size_t allow_bytes);
