#include "plan/mmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/write.h"
#include "plan/mmdb_check.h"
#include "plan/mmdb_json.h"

struct mmdb {
    MMDB_s db;
    struct mmdb_layout layout;
};

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL };

/* Memory with the bytes of file that has a name for the library; -1 and *e. */
static int sealed_copy(struct str file, struct err *e)
{
    int fd = memfd_create("sluice-mmdb", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0) {
        (void)err_errno(e, errno, "no memory for the database");
    } else if (!write_at(fd, file.p, file.n, 0) || fcntl(fd, F_ADD_SEALS, SEALS) != 0) {
        (void)err_errno(e, errno, "the database can't be kept in memory");
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static bool open_copy(struct mmdb *m, struct str file, struct err *e)
{
    char name[40];
    int fd = sealed_copy(file, e), rc;

    if (fd < 0) {
        return false;
    }
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    rc = MMDB_open(name, MMDB_MODE_MMAP, &m->db);
    if (rc == MMDB_IO_ERROR || rc == MMDB_FILE_OPEN_ERROR) {
        (void)err_errno(e, errno, "%s can't be opened; is /proc there?", name);
    } else if (rc != MMDB_SUCCESS) {
        (void)err_set(e, "%s", MMDB_strerror(rc));
    }
    (void)close(fd);
    return rc == MMDB_SUCCESS;
}

struct mmdb *mmdb_new(struct str file, struct err *e)
{
    struct mmdb *m = mem_zalloc(sizeof *m);

    if (!mmdb_check(file, &m->layout, e) || !open_copy(m, file, e)) {
        free(m);
        return NULL;
    }
    m->layout.data.p = (const char *)m->db.file_content + (m->layout.data.p - file.p);
    return m;
}

void mmdb_free(struct mmdb *m)
{
    if (m != NULL) {
        MMDB_close(&m->db);
        free(m);
    }
}

struct str mmdb_bytes(const struct mmdb *m)
{
    return (struct str){(const char *)m->db.file_content, (size_t)m->db.file_size};
}

struct str mmdb_type(const struct mmdb *m)
{
    return str_of(m->db.metadata.database_type);
}

static void put_big(unsigned char *p, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        p[i] = (unsigned char)(v >> (8 * (n - 1 - i)));
    }
}

bool mmdb_entry(const struct mmdb *m, const struct address *a, uint32_t *entry)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    MMDB_lookup_result_s r;
    struct mmdb_head h;
    int rc;

    if (a->four) {
        put_big((unsigned char *)&four.sin_addr, a->lo, 4);
    } else {
        put_big(six.sin6_addr.s6_addr, a->hi, 8);
        put_big(six.sin6_addr.s6_addr + 8, a->lo, 8);
    }
    r = MMDB_lookup_sockaddr(&m->db,
                             a->four ? (const struct sockaddr *)(const void *)&four
                                     : (const struct sockaddr *)(const void *)&six,
                             &rc);
    if (rc != MMDB_SUCCESS || !r.found_entry) {
        return false;
    }
    /* The library follows no pointer there. */
    *entry = mmdb_follow(m->layout.data, r.entry.offset, &h);
    return true;
}

/* The parts of a path as the library takes them; false: no database has such a key. */
enum { INDEX_BYTES = 21 };
struct names {
    const char *list[PATH_PARTS_MAX + 1];
    char text[PATH_BYTES_MAX + INDEX_BYTES * PATH_PARTS_MAX];
};

static bool name_parts(const struct path *path, struct names *n)
{
    char *p = n->text;

    for (uint32_t i = 0; i < path->n; i++) {
        const struct path_part *part = &path->parts[i];

        n->list[i] = p;
        if (part->at > 0) {
            p += snprintf(p, INDEX_BYTES, "%" PRIu64, part->at - 1) + 1;
        } else if (memchr(part->key.p, '\0', part->key.n) != NULL) {
            return false;
        } else {
            memcpy(p, part->key.p, part->key.n);
            p += part->key.n;
            *p++ = '\0';
        }
    }
    n->list[path->n] = NULL;
    return true;
}

bool mmdb_value(const struct mmdb *m, uint32_t entry, const struct path *path,
                char *room, struct mmdb_value *out)
{
    MMDB_entry_s from = {&m->db, entry};
    MMDB_entry_data_s data;
    struct names names;

    if (!name_parts(path, &names) ||
        MMDB_aget_value(&from, &data, names.list) != MMDB_SUCCESS || !data.has_data) {
        return false;
    }
    return mmdb_give(m->layout.data, data.offset, room, MMDB_JSON_MAX, out);
}

bool mmdb_find(const struct mmdb *m, const struct address *a, const struct path *path,
               char *room, struct mmdb_value *out)
{
    uint32_t entry;

    return mmdb_entry(m, a, &entry) && mmdb_value(m, entry, path, room, out);
}
