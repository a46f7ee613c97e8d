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
#include "base/mem.h"
#include "spool/format.h"

enum { WINDOW_BYTES = 1 << 20, PAD_BYTES = 64 };

struct inspect {
    const struct spool_visitor *v;
    char *window; /* PAD_BYTES longer than room */
    size_t room;
    bool enough;
};

static void read_blocks(struct inspect *in, int fd, const struct page *p,
                         struct spool_segment_info *i)
{
    uint64_t off = PAGE_BYTES;

    for (;;) {
        ssize_t n = pread(fd, in->window, in->room, (off_t)off);
        struct spool_block b;
        size_t need;
        enum block_result r;

        if (n <= 0) {
            break;
        }
        r = block_open(in->window, (size_t)n, p->salt, &b, &need);
        if (r == BLOCK_SHORT && need > in->room && off + need <= i->size) {
            in->room = need;
            in->window = mem_realloc(in->window, need + PAD_BYTES);
            continue;
        }
        if (r != BLOCK_OK) {
            break;
        }
        i->first = i->first == 0 ? b.first : i->first;
        i->bytes = off + need;
        if (in->v->block != NULL && !in->v->block(in->v->arg, i, &b)) {
            in->enough = true;
            break;
        }
        i->events += b.n;
        i->blocks++;
        off += need;
    }
    i->bytes = off;
}

static void inspect_file(struct inspect *in, const char *path,
                         const char *stream, uint32_t epoch, uint32_t worker)
{
    struct spool_segment_info i = {.stream = stream,
                                   .epoch = epoch,
                                   .worker = worker,
                                   .status = "damaged"};
    unsigned char bytes[PAGE_BYTES];
    struct page p;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return; /* recycled or deleted meanwhile */
    }
    if (fstat(fd, &st) == 0) {
        i.size = (uint64_t)st.st_size;
    }
    if (pread(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes &&
        page_decode(bytes, &p)) {
        i.number = p.number;
        i.first = p.first;
        if (in->v->quick) {
            i.first = p.first;
        } else {
            read_blocks(in, fd, &p, &i);
        }
        i.status = i.first == 0 ? "prepared" : "used";
    }
    (void)close(fd);
    if (in->v->segment != NULL) {
        in->v->segment(in->v->arg, &i);
    }
}

/* Names of a folder's entries, sorted; free them with free_names. */
static struct dirent **names(const char *dir, int *n)
{
    struct dirent **list = NULL;

    *n = scandir(dir, &list, NULL, versionsort);
    return list;
}

static void free_names(struct dirent **list, int n)
{
    for (int i = 0; i < n; i++) {
        free(list[i]);
    }
    free(list);
}

static void inspect_shard(struct inspect *in, const char *dir,
                          const char *stream, uint32_t epoch, uint32_t worker)
{
    int n;
    struct dirent **list = names(dir, &n);

    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];

        if (!in->enough && strstr(list[i]->d_name, ".seg") != NULL) {
            (void)snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
            inspect_file(in, path, stream, epoch, worker);
        }
    }
    free_names(list, n);
}

static void inspect_stream(struct inspect *in, const char *dir,
                           const char *stream)
{
    int n;
    struct dirent **list = names(dir, &n);

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
    struct inspect in = {.v = v,
                         .window = mem_alloc(WINDOW_BYTES + PAD_BYTES),
                         .room = WINDOW_BYTES};
    char path[PATH_MAX];
    struct dirent **list;
    int n;

    (void)snprintf(path, sizeof path, "%s/EPOCH", dir);
    if (access(path, R_OK) != 0) {
        free(in.window);
        return err_errno(e, errno, "%s: no spool", dir);
    }
    list = names(dir, &n);
    for (int i = 0; i < n; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
        if (list[i]->d_name[0] != '.' && list[i]->d_type == DT_DIR &&
            strcmp(list[i]->d_name, "sinks") != 0) {
            inspect_stream(&in, path, list[i]->d_name);
        }
    }
    free_names(list, n);
    free(in.window);
    return true;
}
