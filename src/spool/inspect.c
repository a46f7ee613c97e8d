#include "spool/inspect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "spool/blocks.h"
#include "spool/format.h"
#include "spool/guess.h"

struct inspect {
    const struct spool_visitor *v;
    bool enough;
    int error;             /* of a folder that can't be listed */
    char where[PATH_MAX];  /* which one that is */
    const char *dir;       /* of the shard in hand; the names in it from the one */
    struct dirent **after; /* after the file in hand on, */
    int n_after;           /* and how many they are */
    struct spool_segment_info last; /* of the shard that is looked through */
    uint64_t last_off;              /* where its last block ended */
    uint64_t promised_end, end; /* of the segment in hand, as the next page has it: of
                                       what clients were promised, and of all; 0: unknown */
};

static void damaged(struct inspect *in, struct spool_segment_info *i, uint64_t from,
                    uint64_t to, uint64_t events)
{
    i->n_damaged++;
    i->lost += events;
    if (in->v->damage != NULL) {
        in->v->damage(in->v->arg, i, from, to, events);
    }
}

static bool is_refused(const struct inspect *in, const struct spool_block *b)
{
    return in->v->refused != NULL && in->promised_end != 0 &&
           b->first >= in->promised_end;
}

static void read_blocks(struct inspect *in, struct blocks *w,
                        struct spool_segment_info *i)
{
    enum blocks_result r = BLOCKS_BLOCK;
    struct spool_block b;

    while (!in->enough && (r == BLOCKS_BLOCK || r == BLOCKS_DAMAGE)) {
        if (in->v->covered != NULL) {
            blocks_pass(w, in->v->covered(in->v->arg, i, w->next));
        }
        r = blocks_next(w, &b);
        i->bytes = w->off;
        i->next = w->next;
        if (r == BLOCKS_DAMAGE) {
            damaged(in, i, w->damage.from, w->damage.to, w->damage.lost);
        } else if (r == BLOCKS_BLOCK && !is_refused(in, &b)) {
            i->first = i->first == 0 ? b.first : i->first;
            in->enough = in->v->block != NULL && !in->v->block(in->v->arg, i, &b);
            i->events += in->enough ? 0 : b.n;
            i->blocks += !in->enough;
        }
    }
    if (r == BLOCKS_UNREAD) {
        i->status = "unreadable";
        i->error = w->error;
    }
}

/* The end of a segment, as the next segment's page has it. */
static void look_back(struct inspect *in, const struct page *p)
{
    struct spool_segment_info *last = &in->last;
    uint64_t end = p->first - p->unacked;

    if (p->first != 0 && last->number + 1 == p->number && last->next != 0 &&
        last->error == 0 && end > last->next) {
        damaged(in, last, in->last_off,
                p->before_end > in->last_off ? p->before_end : in->last_off,
                end - last->next);
    }
}

static void tell_last(struct inspect *in)
{
    if (in->last.status != NULL && in->v->segment != NULL) {
        in->v->segment(in->v->arg, &in->last);
    }
    in->last.status = NULL;
}

/* Its blocks are not after those of the segment before: they were there before it was
 * prepared for a second use. */
static bool is_earlier_use(const struct inspect *in, const struct spool_segment_info *i,
                           const struct page *p)
{
    const struct spool_segment_info *last = &in->last;

    return last->stream != NULL && strcmp(last->stream, i->stream) == 0 &&
           last->epoch == i->epoch && last->worker == i->worker &&
           p->first <= last->first;
}

static bool is_segment(const struct dirent *d)
{
    return strstr(d->d_name, ".seg") != NULL;
}

/* A server makes segments one at a time, behind all others: one that is not whole, and is
 * not the newest, has lost its bytes. */
static bool is_being_made(const struct inspect *in, const struct spool_segment_info *i)
{
    bool made = i->size < PAGE_BYTES;

    for (int k = 0; made && k < in->n_after; k++) {
        made = !is_segment(in->after[k]);
    }
    return made;
}

/* False: unreadable, or no page that holds. */
static bool read_page(struct inspect *in, int fd, const char *path,
                      struct spool_segment_info *i, struct page *p)
{
    unsigned char bytes[PAGE_BYTES] = {0};

    i->error = blocks_read(fd, bytes,
                           is_being_made(in, i) ? (size_t)i->size : sizeof bytes, 0);
    if (i->error != 0) {
        i->status = i->size < sizeof bytes ? "damaged" : "unreadable";
        return false;
    }
    if (page_decode(bytes, p)) {
        if (i->size < p->segment_bytes) { /* it had its room before its page */
            damaged(in, i, i->size, p->segment_bytes, 0);
        }
        return true;
    }
    i->error = page_guess(fd, path, i->size, p);
    if (i->error == 0 && is_earlier_use(in, i, p)) {
        i->error = ENOENT;
    }
    if (i->error == ENOENT) {
        bool used = false;

        for (size_t k = 0; k < sizeof bytes; k++) {
            used |= bytes[k] != 0;
        }
        i->error = 0;
        i->status = used ? "damaged" : "prepared";
        i->n_damaged += used;
        return false;
    }
    i->status = "unreadable";
    if (i->error == 0) {
        damaged(in, i, 0, PAGE_BYTES, 0);
    }
    return i->error == 0;
}

/* The first page of dir/name. False and errno: it does not tell. */
static bool peek(const char *dir, const char *name, struct page *p)
{
    unsigned char bytes[PAGE_BYTES];
    char path[PATH_MAX];
    bool ok;
    int fd;

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ok = blocks_read(fd, bytes, sizeof bytes, 0) == 0 && page_decode(bytes, p);
    (void)close(fd);
    errno = 0;
    return ok;
}

/* How the segment of that page ends, as the page of the next one that was used has it.
 * False: a server has deleted that one meanwhile, so that nothing tells. */
static bool look_ahead(struct inspect *in, const struct page *of)
{
    struct page p = {.first = 0};

    in->promised_end = in->end = 0;
    for (int i = 0; of->first != 0 && i < in->n_after && p.first == 0; i++) {
        if (is_segment(in->after[i]) && !peek(in->dir, in->after[i]->d_name, &p)) {
            return errno != ENOENT;
        }
    }
    if (p.first != 0 && p.number > of->number) {
        in->promised_end = p.first - p.unacked;
        in->end = p.first;
    }
    return true;
}

static void tell_refused(struct inspect *in, const struct spool_segment_info *i)
{
    const uint64_t first = in->promised_end > i->first ? in->promised_end : i->first;

    if (in->v->refused != NULL && !in->enough && first < in->end) {
        in->v->refused(in->v->arg, i, first, in->end);
    }
}

/* False: it is deleted, as the one after it was: nothing is told of it. */
static bool inspect_segment(struct inspect *in, const char *path, int fd,
                            const struct page *p, struct spool_segment_info *i)
{
    struct blocks w;

    i->number = p->number;
    i->unsure = UINT64_MAX;
    i->first = i->next = p->first;
    i->status = "used";
    look_back(in, p);
    tell_last(in);
    if (!in->v->quick && (in->v->wants == NULL || in->v->wants(in->v->arg, i))) {
        if (in->v->refused != NULL) {
            if (!look_ahead(in, p) && path_there(path) == 0) {
                return false;
            }
            if (p->unsure > 0 && in->promised_end == in->end) {
                i->unsure = p->first + p->unsure - 1;
            }
        }
        blocks_init(&w, fd, p->salt, i->size, p->first);
        w.search = p->first != 0;
        read_blocks(in, &w, i);
        blocks_fini(&w);
        tell_refused(in, i);
    }
    in->last_off = i->bytes;
    i->status = i->error != 0 ? i->status : i->first == 0 ? "prepared" : "used";
    return true;
}

/* Whether a server has taken the file into use again since its page was read: then it
 * may have written over blocks that were to be read. */
static bool used_again(int fd, const struct page *p)
{
    unsigned char bytes[PAGE_BYTES];
    struct page now;

    return blocks_read(fd, bytes, sizeof bytes, 0) == 0 && page_decode(bytes, &now) &&
           now.salt != p->salt;
}

static void inspect_file(struct inspect *in, const char *path, const char *stream,
                         uint32_t epoch, uint32_t worker)
{
    struct spool_segment_info i = {.stream = stream, .epoch = epoch, .worker = worker};
    struct page p;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT) {
        return; /* recycled or deleted meanwhile */
    }
    i.error = fd < 0 || fstat(fd, &st) != 0 ? errno : 0;
    i.size = i.error == 0 ? (uint64_t)st.st_size : 0;
    if (i.error != 0) {
        tell_last(in);
        i.status = "unreadable";
    } else if (read_page(in, fd, path, &i, &p)) {
        if (!inspect_segment(in, path, fd, &p, &i)) {
            (void)close(fd);
            return;
        }
        i.reused = i.bytes > 0 && used_again(fd, &p);
        if (i.reused) {
            i.n_damaged = i.lost = 0;
        }
    } else {
        tell_last(in);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    in->last = i;
}

/* Names of a folder's entries, sorted; free them with free_names. A path that is not a
 * folder, or is gone, has none. */
static struct dirent **names(struct inspect *in, const char *dir, int *n)
{
    struct dirent **list = NULL;

    *n = scandir(dir, &list, NULL, versionsort);
    if (*n < 0 && errno != ENOTDIR && errno != ENOENT) {
        in->error = errno;
        (void)snprintf(in->where, sizeof in->where, "%s", dir);
    }
    return list;
}

static void free_names(struct dirent **list, int n)
{
    for (int i = 0; i < n; i++) {
        free(list[i]);
    }
    free(list);
}

static void inspect_shard(struct inspect *in, const char *dir, const char *stream,
                          uint32_t epoch, uint32_t worker)
{
    int n;
    struct dirent **list = names(in, dir, &n);

    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];

        if (in->enough || !is_segment(list[i])) {
            continue;
        }
        in->dir = dir;
        in->after = list + i + 1;
        in->n_after = n - i - 1;
        (void)snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
        inspect_file(in, path, stream, epoch, worker);
    }
    tell_last(in);
    free_names(list, n);
}

static void inspect_stream(struct inspect *in, const char *dir, const char *stream)
{
    int n;
    struct dirent **list = names(in, dir, &n);

    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        unsigned epoch, worker;

        if (sscanf(list[i]->d_name, "%u.%u", &epoch, &worker) == 2) {
            (void)snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
            inspect_shard(in, path, stream, epoch, worker);
        }
    }
    free_names(list, n);
}

bool spool_visit(const char *dir, const struct spool_visitor *v, struct err *e)
{
    struct inspect in = {.v = v};
    char path[PATH_MAX];
    struct dirent **list;
    int n;

    (void)snprintf(path, sizeof path, "%s/EPOCH", dir);
    if (access(path, R_OK) != 0) {
        return err_errno(e, errno, "%s: no spool", dir);
    }
    list = names(&in, dir, &n);
    for (int i = 0; i < n; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
        /* A link to a folder is a folder to the server, too. */
        if (list[i]->d_name[0] != '.' && list[i]->d_type != DT_REG &&
            (v->stream == NULL || strcmp(list[i]->d_name, v->stream) == 0)) {
            inspect_stream(&in, path, list[i]->d_name);
        }
    }
    free_names(list, n);
    return in.error == 0 || err_errno(e, in.error, "%s", in.where);
}
