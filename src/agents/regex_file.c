#include "agents/regex_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"

enum { PROBLEMS_MAX = 50, NO_SECTION = AGENT_SECTIONS };

static const char *const sections[AGENT_SECTIONS] = {"user_agent_parsers", "os_parsers",
                                                     "device_parsers"};

static const char *const keys[AGENT_SECTIONS][AGENT_PARTS_MAX] = {
    {"family_replacement", "v1_replacement", "v2_replacement", "v3_replacement", NULL},
    {"os_replacement", "os_v1_replacement", "os_v2_replacement", "os_v3_replacement",
     "os_v4_replacement"},
    {"device_replacement", "brand_replacement", "model_replacement", NULL, NULL}};

struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    struct regex_file *file;
    agent_problem_fn *problem;
    void *arg;
    uint32_t n_problems;
};

const char *regex_file_key(enum agent_section section, uint32_t part)
{
    return keys[section][part];
}

__attribute__((format(printf, 3, 4))) static bool tell(struct reader *r, uint32_t line,
                                                       const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (r->n_problems++ < PROBLEMS_MAX) {
        r->problem(r->arg, line, text);
    }
    return false;
}

static uint32_t line_of(const struct reader *r)
{
    return (uint32_t)r->event.start_mark.line + 1;
}

static bool is_anchored(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return e->data.scalar.anchor != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return e->data.sequence_start.anchor != NULL;
    case YAML_MAPPING_START_EVENT:
        return e->data.mapping_start.anchor != NULL;
    default:
        return e->type == YAML_ALIAS_EVENT;
    }
}

static bool is_tagged(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return e->data.scalar.tag != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return e->data.sequence_start.tag != NULL;
    case YAML_MAPPING_START_EVENT:
        return e->data.mapping_start.tag != NULL;
    default:
        return false;
    }
}

/* The next event of the parser; false: the file is no YAML, or has what no such file
 * needs. Nothing is read after that. */
static bool next(struct reader *r)
{
    if (r->has_event) {
        yaml_event_delete(&r->event);
        r->has_event = false;
    }
    if (yaml_parser_parse(&r->parser, &r->event) == 0) {
        size_t line = r->parser.problem_mark.line;

        return tell(r, r->parser.error == YAML_READER_ERROR ? 0 : (uint32_t)line + 1,
                    "the file is no YAML: %s",
                    r->parser.problem != NULL ? r->parser.problem : "it can't be read");
    }
    r->has_event = true;
    if (is_anchored(&r->event)) {
        return tell(r, line_of(r),
                    "an anchor (&) or an alias (*): write the text itself");
    }
    if (is_tagged(&r->event)) {
        return tell(r, line_of(r), "a tag (!): write a text without it");
    }
    return true;
}

static struct str scalar(const struct reader *r)
{
    return (struct str){(const char *)r->event.data.scalar.value,
                        r->event.data.scalar.length};
}

static const char *called(const yaml_event_t *e)
{
    bool text = e->type == YAML_SCALAR_EVENT && e->data.scalar.length > 0;

    return text                                   ? "a text"
           : e->type == YAML_SEQUENCE_START_EVENT ? "a list"
           : e->type == YAML_MAPPING_START_EVENT  ? "a map"
                                                  : "nothing";
}

static struct str copied(struct str s)
{
    return (struct str){mem_strndup(s.p, s.n), s.n};
}

/* Longest part of a value that a message shows. */
static int shown(struct str s)
{
    return s.n < 60 ? (int)s.n : 60;
}

static bool take_regex(struct reader *r, struct agent_rule *rule, struct str v)
{
    if (v.n == 0 || v.n > AGENT_REGEX_BYTES_MAX) {
        (void)tell(r, line_of(r), "regex: expected 1 to %d bytes, got %zu",
                   (int)AGENT_REGEX_BYTES_MAX, v.n);
    }
    rule->line = line_of(r);
    rule->regex = copied(v);
    return true;
}

static bool take_template(struct reader *r, struct agent_rule *rule, uint32_t part,
                          const char *key, struct str v)
{
    if (v.n > AGENT_TEMPLATE_BYTES_MAX) {
        (void)tell(r, line_of(r), "%s: expected at most %d bytes, got %zu", key,
                   (int)AGENT_TEMPLATE_BYTES_MAX, v.n);
    }
    rule->templates[part] = copied(v);
    return true;
}

/* The place of a replacement's key; AGENT_PARTS_MAX: the section has none such. */
static uint32_t part_of(uint32_t section, const char *key)
{
    uint32_t part = 0;

    while (part < AGENT_PARTS_MAX &&
           (keys[section][part] == NULL || strcmp(keys[section][part], key) != 0)) {
        part++;
    }
    return part;
}

static void unknown_key(struct reader *r, uint32_t section, uint32_t line,
                        const char *key)
{
    char list[200] = "";
    size_t n = 0;

    for (uint32_t i = 0; i < AGENT_PARTS_MAX && keys[section][i] != NULL; i++) {
        n += (size_t)snprintf(list + n, sizeof list - n, ", %s", keys[section][i]);
    }
    (void)tell(r, line, "unknown key \"%.60s\"; a parser of %s has regex, regex_flag%s",
               key, sections[section], list);
}

/* One key and its value. False: reading can't go on. */
static bool read_pair(struct reader *r, uint32_t section, struct agent_rule *rule)
{
    uint32_t line = line_of(r), part;
    char key[64];

    if (r->event.type != YAML_SCALAR_EVENT) {
        return tell(r, line, "expected a key such as regex, got %s", called(&r->event));
    }
    (void)snprintf(key, sizeof key, "%.*s", shown(scalar(r)), scalar(r).p);
    if (!next(r)) {
        return false;
    }
    if (r->event.type != YAML_SCALAR_EVENT) {
        return tell(r, line_of(r), "%s: expected a text, got %s", key,
                    called(&r->event));
    }
    part = part_of(section, key);
    if (strcmp(key, "regex") == 0) {
        return rule->regex.p != NULL ? tell(r, line, "regex is given twice")
                                     : take_regex(r, rule, scalar(r));
    }
    if (strcmp(key, "regex_flag") == 0) {
        rule->caseless = true;
        if (!str_eq(scalar(r), STR("i"))) {
            (void)tell(r, line_of(r), "regex_flag: expected 'i', got \"%.*s\"",
                       shown(scalar(r)), scalar(r).p);
        }
        return true;
    }
    if (part == AGENT_PARTS_MAX) {
        unknown_key(r, section, line, key);
        return true;
    }
    return rule->templates[part].p != NULL
               ? tell(r, line, "%s is given twice", key)
               : take_template(r, rule, part, key, scalar(r));
}

static void rule_fini(struct agent_rule *rule)
{
    free((char *)rule->regex.p);
    for (uint32_t i = 0; i < AGENT_PARTS_MAX; i++) {
        free((char *)rule->templates[i].p);
    }
}

static bool add_rule(struct reader *r, struct agent_rules *rules)
{
    if (rules->n == AGENT_RULES_MAX) {
        return tell(r, line_of(r), "more than %d parsers in a section",
                    (int)AGENT_RULES_MAX);
    }
    if ((rules->n & (rules->n - 1)) == 0) {
        rules->list =
            mem_realloc(rules->list, (rules->n * 2 + 1) * sizeof *rules->list);
    }
    rules->list[rules->n++] = (struct agent_rule){.line = line_of(r)};
    return true;
}

static bool read_rule(struct reader *r, uint32_t section)
{
    struct agent_rules *rules = &r->file->sections[section];
    struct agent_rule *rule;

    if (r->event.type != YAML_MAPPING_START_EVENT) {
        return tell(r, line_of(r), "expected a parser, such as - regex: '…', got %s",
                    called(&r->event));
    }
    if (!add_rule(r, rules)) {
        return false;
    }
    rule = &rules->list[rules->n - 1];
    if (!next(r)) {
        return false;
    }
    while (r->event.type != YAML_MAPPING_END_EVENT) {
        if (!read_pair(r, section, rule) || !next(r)) {
            return false;
        }
    }
    if (rule->regex.p == NULL) {
        (void)tell(r, rule->line, "a parser without a regex");
    }
    return true;
}

static uint32_t section_of(struct str name)
{
    uint32_t i = 0;

    while (i < AGENT_SECTIONS && !str_eq(name, str_of(sections[i]))) {
        i++;
    }
    return i;
}

static bool read_section(struct reader *r)
{
    uint32_t section;

    if (r->event.type != YAML_SCALAR_EVENT) {
        return tell(r, line_of(r), "expected the name of a section, got %s",
                    called(&r->event));
    }
    section = section_of(scalar(r));
    if (section == NO_SECTION) {
        return tell(r, line_of(r),
                    "unknown section \"%.*s\"; expected user_agent_parsers, os_parsers "
                    "or device_parsers",
                    shown(scalar(r)), scalar(r).p);
    }
    if (r->file->sections[section].given) {
        return tell(r, line_of(r), "%s is given twice", sections[section]);
    }
    r->file->sections[section].given = true;
    if (!next(r)) {
        return false;
    }
    if (r->event.type != YAML_SEQUENCE_START_EVENT) {
        return tell(r, line_of(r), "%s: expected a list of parsers, got %s",
                    sections[section], called(&r->event));
    }
    for (;;) {
        if (!next(r)) {
            return false;
        }
        if (r->event.type == YAML_SEQUENCE_END_EVENT) {
            return true;
        }
        if (!read_rule(r, section)) {
            return false;
        }
    }
}

static bool read_document(struct reader *r)
{
    static const char expected[] =
        "expected the sections user_agent_parsers, os_parsers or device_parsers";

    if (!next(r) || !next(r)) { /* the stream's start */
        return false;
    }
    if (r->event.type != YAML_DOCUMENT_START_EVENT) {
        return tell(r, 0, "the file is empty: %s", expected);
    }
    if (!next(r)) {
        return false;
    }
    if (r->event.type != YAML_MAPPING_START_EVENT) {
        return tell(r, line_of(r), "%s, got %s", expected, called(&r->event));
    }
    for (;;) {
        if (!next(r)) {
            return false;
        }
        if (r->event.type == YAML_MAPPING_END_EVENT) {
            break;
        }
        if (!read_section(r)) {
            return false;
        }
    }
    if (!next(r) || !next(r)) { /* the document's end */
        return false;
    }
    return r->event.type == YAML_STREAM_END_EVENT ||
           tell(r, line_of(r), "a second document: expected one");
}

static bool any_section(const struct regex_file *f)
{
    bool any = false;

    for (uint32_t i = 0; i < AGENT_SECTIONS; i++) {
        any = any || f->sections[i].given;
    }
    return any;
}

bool regex_file_read(struct str text, struct regex_file *f, agent_problem_fn *problem,
                     void *arg)
{
    struct reader r = {.file = f, .problem = problem, .arg = arg};
    bool good;

    *f = (struct regex_file){0};
    if (text.n > AGENT_FILE_BYTES_MAX) {
        return tell(&r, 0, "the file has %zu bytes; expected at most %d", text.n,
                    (int)AGENT_FILE_BYTES_MAX);
    }
    if (yaml_parser_initialize(&r.parser) == 0) {
        return tell(&r, 0, "no memory for the YAML reader");
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.p, text.n);
    good = read_document(&r);
    if (good && !any_section(f)) {
        (void)tell(&r, 0,
                   "no section: expected user_agent_parsers, os_parsers or "
                   "device_parsers");
    }
    if (r.has_event) {
        yaml_event_delete(&r.event);
    }
    yaml_parser_delete(&r.parser);
    if (r.n_problems > PROBLEMS_MAX) {
        problem(arg, 0, "more mistakes are not shown");
    }
    if (r.n_problems > 0) {
        regex_file_fini(f);
    }
    return r.n_problems == 0;
}

void regex_file_fini(struct regex_file *f)
{
    for (uint32_t i = 0; i < AGENT_SECTIONS; i++) {
        for (uint32_t k = 0; k < f->sections[i].n; k++) {
            rule_fini(&f->sections[i].list[k]);
        }
        free(f->sections[i].list);
    }
    *f = (struct regex_file){0};
}
