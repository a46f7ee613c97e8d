/* sluice find --id ID [--since 1h] [--stream NAME] [--field PATH] [--json] [DIR] */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/find/fates.h"
#include "cli/find/sightings.h"
#include "cli/find/streams.h"
#include "cli/moment.h"
#include "cli/show.h"
#include "cli/spool_folder.h"
#include "server/supervisor.h"

enum { FIND_FOUND = 0, FIND_NOT_FOUND = 1 };

struct find {
    struct sightings_wanted want;
    const char *path; /* as given */
    char dir[PATH_MAX];
    bool json;
    struct sightings seen;
    struct fates fates;
};

/* Streams that are not known may have had it. */
static bool is_streams_lost(const struct find *f)
{
    return f->want.stream == NULL && f->seen.lost_ms > f->want.since_ms;
}

/* Whether an event that is not in the list may have been stored all the same. A sink whose journal
 * can't be read may have events that the spool has lost. */
static bool unsure(const struct find *f)
{
    const struct sightings *s = &f->seen;
    bool strange = false, fits = false;

    for (uint32_t i = 0; i < s->n_looked; i++) {
        const struct looked *l = &s->looked[i];

        strange |= l->strange;
        fits |= !l->strange && (l->indexed || l->n_read > 0);
        /* Where no path of ids is known, nothing was looked for; by a misspelt one, in the
         * policy, nothing can be found. */
        if ((l->field[0] == '\0' && l->any) ||
            l->n_damaged + l->n_unknown + l->n_unread > 0 || holes_any(&l->holes) ||
            l->left || (l->strange && l->indexed)) {
            return true;
        }
    }
    return is_streams_lost(f) || f->fates.n_unread > 0 || s->n_looked == 0 ||
           (strange && !fits); /* a misspelt --field */
}

/* ---- text ---- */

static void print_place(const struct sighting *g)
{
    char when[MOMENT_TEXT];

    show_part(stdout, "stream=%s position=%u.%u/%lu", g->stream, g->epoch, g->worker,
              (unsigned long)g->seq);
    if (g->wall_ms != 0) {
        (void)printf(" accepted=%s", moment_text(when, g->wall_ms, g->step_ms));
    }
    if (g->wall_ms != 0 && g->step_ms > 1000) {
        (void)printf(" within=%us", g->step_ms / 1000);
    }
    if (g->policy8 != 0) {
        (void)printf(" policy=%016lx", (unsigned long)g->policy8);
    }
    if (g->seen) {
        (void)printf(" segment=%lu block=%lu..%lu%s%s%s\n", (unsigned long)g->segment,
                     (unsigned long)g->block,
                     (unsigned long)(g->block + g->n_block - 1),
                     g->edited ? " edited" : "", g->replayed ? " replayed" : "",
                     g->unsure ? " unsure: a sync failed, and its client may have been "
                                 "told that it is not stored"
                               : "");
    } else {
        (void)puts(" probable: its segment is gone; the index has the fingerprint of "
                   "this id (one other id in 2^56 has the same)");
    }
}

static void print_fate(const char *sink, const struct fate *f)
{
    char when[MOMENT_TEXT];

    show_part(stdout, "  sink=%s %s", sink, fate_word(f->kind));
    if (f->time_ms != 0) {
        (void)printf(" at=%s", moment_text(when, f->time_ms, 1));
    }
    if (f->batch != 0) {
        (void)printf(" batch=%lu", (unsigned long)f->batch);
    }
    if (f->kind == FATE_PENDING && f->unsynced) {
        show_part(stdout,
                  " file=%s before_byte=%lu (the machine has restarted, and the file "
                  "may have lost its end: the next start of sluice tells)",
                  f->file, (unsigned long)f->file_end);
    } else if (f->kind == FATE_PLANNED) {
        (void)printf(" (it may have been sent; its result is not known yet)");
    } else if (f->kind == FATE_SETTLED) {
        (void)printf(" (the sink is done with it; whether it has it, or it is dead, "
                     "skipped or lost, is not recorded any more)");
    } else if (f->kind == FATE_DEAD && f->place[0] != '\0') {
        char *why = text_new(TEXT_LOG, str_of(f->place));

        show_part(stdout, " why=\"%s\"", why);
        free(why);
    } else if (f->kind == FATE_DEAD) {
        (void)printf(" (sluice dead list shows why)");
    } else if (f->kind == FATE_CONFIRMED && f->place[0] != '\0') {
        show_part(stdout, " %s", f->place);
    } else if (f->kind == FATE_CONFIRMED && f->file[0] != '\0') {
        show_part(stdout, " file=%s before_byte=%lu", f->file,
                  (unsigned long)f->file_end);
    } else if (f->kind == FATE_CONFIRMED && f->exact) {
        (void)printf(" (place not recorded)");
    } else if (f->kind == FATE_CONFIRMED) {
        (void)printf(" (place not recorded: the sink is done with all events up to "
                     "there, or began to read after it)");
    }
    (void)putchar('\n');
}

static void print_looked(const struct looked *l)
{
    char from[MOMENT_TEXT], to[MOMENT_TEXT];

    if (l->left_ms != 0) {
        show_line(stdout,
                  "looked: stream=%s left the policy at %s, without an index: events "
                  "that left the spool are not found%s",
                  l->stream, moment_text(from, l->left_ms, 1),
                  l->any && l->field[0] == '\0' ? ", search the others by --field PATH"
                                                : "");
    } else if (l->field[0] == '\0') {
        show_line(stdout,
                  "looked: stream=%s has no index: put index = \"event_id\" into it, "
                  "or search its segments by --field PATH",
                  l->stream);
    }
    if (l->field[0] == '\0') {
        return;
    }
    show_part(stdout, "looked: stream=%s field=%s indexed_events=%lu files=%lu",
              l->stream, l->field, (unsigned long)l->n_events,
              (unsigned long)l->n_files);
    if (l->oldest_ms != 0) {
        (void)printf(" from=%s to=%s", moment_text(from, l->oldest_ms, 1),
                     moment_text(to, l->newest_ms, 1));
    }
    (void)printf(" read_events=%lu", (unsigned long)l->n_read);
    if (!l->indexed) {
        (void)printf(" (not by an index: events that left the spool are not found)");
    }
    if (l->left) {
        (void)printf(" left_spool=true (some have left it, or may have)");
    }
    if (l->strange) {
        (void)printf(" strange_field=true (of the events that were looked at, none has "
                     "an id there: is this the path of theirs?)");
    }
    if (l->n_unknown > 0) {
        (void)printf(" unknown_events=%lu (neither the index nor a segment has them)",
                     (unsigned long)l->n_unknown);
    } else if (holes_any(&l->holes)) {
        (void)printf(" unknown_events=unknown (see its holes)");
    }
    if (l->n_unread > 0) {
        (void)printf(" unread_segments=%lu (the disk does not give them, or they are "
                     "damaged)",
                     (unsigned long)l->n_unread);
    }
    if (l->n_refused > 0) {
        (void)printf(" refused_events=%lu (a sync failed: their clients were told that "
                     "they are not stored)",
                     (unsigned long)l->n_refused);
    }
    if (l->n_damaged > 0) {
        (void)printf(" damaged_files=%lu (not believed: what they had is looked for in "
                     "the segments that are still there)",
                     (unsigned long)l->n_damaged);
    }
    (void)putchar('\n');
    holes_print(&l->holes, l->stream);
}

static void print_lost(const struct find *f)
{
    char words[STREAMS_LOST_WORDS];

    if (is_streams_lost(f)) {
        (void)printf("looked: %s\n",
                     streams_lost_words(words, sizeof words, f->seen.lost_ms));
    }
}

static void print_text(const struct find *f)
{
    char id[256];

    (void)text_z(TEXT_LOG, f->want.id, id, sizeof id);
    if (f->seen.n == 0) {
        (void)printf("id=\"%s\" was not found%s\n", id,
                     unsure(f)
                         ? ", but it may have been stored: not all could be looked at"
                         : "");
    } else {
        (void)printf("id=\"%s\" events=%lu\n", id,
                     (unsigned long)(f->seen.n + f->seen.more));
    }
    for (uint32_t i = 0; i < f->seen.n; i++) {
        print_place(&f->seen.list[i]);
        for (uint32_t k = 0; k < f->fates.n_sinks; k++) {
            if (fate_of(&f->fates, k, i)->known) {
                print_fate(f->fates.sinks[k], fate_of(&f->fates, k, i));
            }
        }
    }
    if (f->seen.more > 0) {
        (void)printf("and %lu more, which are not shown\n",
                     (unsigned long)f->seen.more);
    }
    for (uint32_t i = 0; i < f->seen.n_looked; i++) {
        print_looked(&f->seen.looked[i]);
    }
    if (f->seen.n_looked == 0) {
        (void)puts("looked: no stream has events or an index here");
    }
    print_lost(f);
    for (uint32_t i = 0; i < f->fates.n_unread; i++) {
        show_line(stdout, "unread: %s", f->fates.unread[i]);
    }
}

/* ---- JSON ---- */

static void put(cJSON *o, const char *key, double v)
{
    (void)cJSON_AddNumberToObject(o, key, v);
}

static cJSON *fate_json(const char *sink, const struct fate *f)
{
    cJSON *o = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(o, "sink", sink);
    (void)cJSON_AddStringToObject(o, "state", fate_word(f->kind));
    (void)cJSON_AddBoolToObject(o, "recorded", f->exact);
    if (f->batch != 0) {
        put(o, "batch", (double)f->batch);
    }
    if (f->time_ms != 0) {
        put(o, "time_ms", (double)f->time_ms);
    }
    if (f->place[0] != '\0') {
        (void)cJSON_AddStringToObject(o, f->kind == FATE_DEAD ? "why" : "place",
                                      f->place);
    }
    if (f->file[0] != '\0' &&
        (f->kind == FATE_CONFIRMED || (f->kind == FATE_PENDING && f->unsynced))) {
        (void)cJSON_AddStringToObject(o, "file", f->file);
        put(o, "before_byte", (double)f->file_end);
        (void)cJSON_AddBoolToObject(o, "unchecked",
                                    f->kind == FATE_PENDING && f->unsynced);
    }
    return o;
}

static cJSON *event_json(const struct find *f, uint32_t i)
{
    const struct sighting *g = &f->seen.list[i];
    cJSON *o = cJSON_CreateObject(), *sinks;

    (void)cJSON_AddStringToObject(o, "stream", g->stream);
    put(o, "epoch", g->epoch);
    put(o, "worker", g->worker);
    put(o, "sequence", (double)g->seq);
    (void)cJSON_AddBoolToObject(o, "certain", g->seen);
    (void)cJSON_AddBoolToObject(o, "indexed", g->indexed);
    if (g->wall_ms != 0) {
        put(o, "accepted_ms", (double)g->wall_ms);
        put(o, "within_ms", g->step_ms);
    }
    if (g->policy8 != 0) {
        char hex[17];

        (void)snprintf(hex, sizeof hex, "%016lx", (unsigned long)g->policy8);
        (void)cJSON_AddStringToObject(o, "policy", hex);
    }
    if (g->seen) {
        put(o, "segment", (double)g->segment);
        put(o, "block_first", (double)g->block);
        put(o, "block_events", (double)g->n_block);
        (void)cJSON_AddBoolToObject(o, "edited", g->edited);
        (void)cJSON_AddBoolToObject(o, "replayed", g->replayed);
        (void)cJSON_AddBoolToObject(o, "unsure", g->unsure);
    }
    sinks = cJSON_AddArrayToObject(o, "sinks");
    for (uint32_t k = 0; k < f->fates.n_sinks; k++) {
        if (fate_of(&f->fates, k, i)->known) {
            (void)cJSON_AddItemToArray(
                sinks, fate_json(f->fates.sinks[k], fate_of(&f->fates, k, i)));
        }
    }
    return o;
}

static cJSON *looked_json(const struct looked *l)
{
    cJSON *o = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(o, "stream", l->stream);
    (void)cJSON_AddBoolToObject(o, "searched", l->field[0] != '\0');
    (void)cJSON_AddStringToObject(o, "field", l->field);
    (void)cJSON_AddBoolToObject(o, "by_index", l->indexed);
    (void)cJSON_AddBoolToObject(o, "strange_field", l->strange);
    (void)cJSON_AddBoolToObject(o, "left_spool", l->left);
    if (l->left_ms != 0) {
        put(o, "left_policy_ms", (double)l->left_ms);
    }
    put(o, "files", (double)l->n_files);
    put(o, "indexed_events", (double)l->n_events);
    put(o, "read_events", (double)l->n_read);
    put(o, "damaged_files", (double)l->n_damaged);
    put(o, "unknown_events", (double)l->n_unknown);
    put(o, "unread_segments", (double)l->n_unread);
    put(o, "refused_events", (double)l->n_refused);
    (void)cJSON_AddItemToObject(o, "holes", holes_json(&l->holes));
    if (l->oldest_ms != 0) {
        put(o, "oldest_ms", (double)l->oldest_ms);
        put(o, "newest_ms", (double)l->newest_ms);
    }
    return o;
}

static void print_json(const struct find *f)
{
    cJSON *o = cJSON_CreateObject(), *list;
    char *id = text_new(TEXT_PLAIN, f->want.id), *text;

    (void)cJSON_AddStringToObject(o, "id", id);
    list = cJSON_AddArrayToObject(o, "events");
    for (uint32_t i = 0; i < f->seen.n; i++) {
        (void)cJSON_AddItemToArray(list, event_json(f, i));
    }
    put(o, "more", (double)f->seen.more);
    list = cJSON_AddArrayToObject(o, "looked");
    for (uint32_t i = 0; i < f->seen.n_looked; i++) {
        (void)cJSON_AddItemToArray(list, looked_json(&f->seen.looked[i]));
    }
    (void)cJSON_AddBoolToObject(o, "streams_lost", is_streams_lost(f));
    list = cJSON_AddArrayToObject(o, "unread");
    for (uint32_t i = 0; i < f->fates.n_unread; i++) {
        (void)cJSON_AddItemToArray(list, cJSON_CreateString(f->fates.unread[i]));
    }
    text = cJSON_PrintUnformatted(o);
    show_json(stdout, str_of(text));
    cJSON_free(text);
    cJSON_Delete(o);
    free(id);
}

/* ---- the command ---- */

static int usage(void)
{
    return usage_wrong("find");
}

static bool take_since(struct find *f, const char *text)
{
    int64_t ms;

    if (!units_ms(str_of(text), &ms) || ms <= 0) {
        return false;
    }
    f->want.since_ms = moment_ago(ms);
    return true;
}

/* 0, or the exit code: what is wrong has been told. */
static int take_options(struct find *f, int argc, char **argv)
{
    static const struct option options[] = {{"id", required_argument, NULL, 'i'},
                                            {"since", required_argument, NULL, 's'},
                                            {"stream", required_argument, NULL, 't'},
                                            {"field", required_argument, NULL, 'f'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    bool ok = true;

    f->path = "data";
    for (int c; ok && (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'i':
            f->want.id = str_of(optarg);
            break;
        case 's':
            if (!take_since(f, optarg)) {
                return usage_value("find", "since", optarg);
            }
            break;
        case 't':
            f->want.stream = optarg;
            break;
        case 'f':
            f->want.field = optarg;
            break;
        case 'j':
            f->json = true;
            break;
        default:
            ok = false;
        }
    }
    if (optind < argc) {
        f->path = argv[optind++];
    }
    return ok && optind == argc && f->want.id.p != NULL ? 0 : usage();
}

int cli_find(int argc, char **argv)
{
    struct find f = {.json = false};
    int code = take_options(&f, argc, argv);
    struct err e;

    if (code != 0) {
        return code;
    }
    code = EXIT_SETUP;
    f.want.dir = f.dir;
    if (spool_folder(f.path, f.dir, &e) && sightings_find(&f.want, &f.seen, &e) &&
        fates_read(f.dir, f.seen.list, f.seen.n, &f.fates, &e)) {
        if (f.json) {
            print_json(&f);
        } else {
            print_text(&f);
        }
        code = f.seen.n > 0 ? FIND_FOUND : unsure(&f) ? EXIT_SETUP : FIND_NOT_FOUND;
    } else {
        show_error(e.text);
    }
    fates_free(&f.fates);
    sightings_free(&f.seen);
    return code;
}
