/* Preloaded into a server, writes down what it does to the files below a directory, in the order in which it does it.

   NEXUS_RECORD_ROOT is the directory, NEXUS_RECORD_LOG the file that records are appended to; a file lock on the latter
   orders the records of all processes. Changes and their records are made under it; a sync has a record before and one
   after, since it covers what was done before it began and is in force once it has ended. Files are told by inode. The
   format is read by reliability/recording.py. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, MKDIR, RENAME, REMOVE, LINK, WRITE, TRUNCATE, SYNC_BEGINS, SYNC_ENDS };

struct record {
    uint32_t size; /* of all of it */
    uint32_t kind;
    uint64_t inode;
    uint64_t at; /* an offset, a length, or which sync it is */
    uint32_t path, other; /* lengths of what follows, before the data */
};

static char root[PATH_MAX];
static size_t root_length;
static int log_fd = -1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint syncs;

__attribute__((constructor)) static void start(void) {
    const char *where = getenv("NEXUS_RECORD_ROOT"), *log = getenv("NEXUS_RECORD_LOG");
    if (!where || !log)
        return;
    snprintf(root, sizeof root, "%s", where);
    root_length = strlen(root);
    int fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
    log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 700); /* out of the way of programs that count on low numbers */
    syscall(SYS_close, fd);
}

static void begin(void) {
    pthread_mutex_lock(&mutex);
    while (flock(log_fd, LOCK_EX) && errno == EINTR)
        ;
}

static void end(void) {
    int kept = errno;
    flock(log_fd, LOCK_UN);
    pthread_mutex_unlock(&mutex);
    errno = kept;
}

static void put(int kind, uint64_t inode, uint64_t at, const char *path, const char *other, const void *data, size_t size) {
    int kept = errno;
    size_t one = path ? strlen(path) : 0, two = other ? strlen(other) : 0;
    struct record head = {sizeof head + one + two + size, kind, inode, at, one, two};
    struct iovec parts[] = {
        {&head, sizeof head}, {(void *)path, one}, {(void *)other, two}, {(void *)data, size}};
    if (syscall(SYS_writev, log_fd, parts, 4) != (ssize_t)head.size)
        abort(); /* a record that lacks something proves nothing */
    errno = kept;
}

static int below(const char *path) {
    return log_fd >= 0 && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length >= 0;
}

/* Where a name leads that is taken from a directory. */
static void resolve(int folder, const char *name, char *path) {
    int kept = errno;
    char base[PATH_MAX] = "";
    if (name[0] != '/') {
        if (folder == AT_FDCWD) {
            if (!getcwd(base, sizeof base))
                base[0] = 0;
        } else
            path_of(folder, base);
    }
    if ((size_t)snprintf(path, PATH_MAX, "%s%s%s", base, *base ? "/" : "", name) >= PATH_MAX)
        path[0] = 0;
    errno = kept;
}

/* Whether a descriptor is a file or directory that is recorded. The index of a WAL is rebuilt by who comes first. */
static int watched(int fd, struct stat *found) {
    char path[PATH_MAX];
    int kept = errno;
    int yes = log_fd >= 0 && !fstat(fd, found) && (S_ISREG(found->st_mode) || S_ISDIR(found->st_mode)) &&
              path_of(fd, path) && below(path) && !strstr(path, "-shm");
    errno = kept;
    return yes;
}

/* -- names */

static int open_at(int folder, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    struct stat before, found;
    resolve(folder, name, path);
    if (!(flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE || !below(path) || strstr(path, "-shm"))
        return syscall(SYS_openat, folder, name, flags, mode);
    begin();
    int was = !fstatat(folder, name, &before, 0);
    int fd = syscall(SYS_openat, folder, name, flags, mode);
    if (fd >= 0 && !fstat(fd, &found)) {
        if (!was)
            put(CREATE, found.st_ino, 0, path, NULL, NULL, 0);
        else if ((flags & O_TRUNC) && before.st_size)
            put(TRUNCATE, found.st_ino, 0, NULL, NULL, NULL, 0);
    }
    end();
    return fd;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        return open_at(AT_FDCWD, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        return open_at(folder, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

int mkdirat(int folder, const char *name, mode_t mode) {
    char path[PATH_MAX];
    struct stat made;
    resolve(folder, name, path);
    if (!below(path))
        return syscall(SYS_mkdirat, folder, name, mode);
    begin();
    int done = syscall(SYS_mkdirat, folder, name, mode);
    if (!done && !fstatat(folder, name, &made, AT_SYMLINK_NOFOLLOW))
        put(MKDIR, made.st_ino, 0, path, NULL, NULL, 0);
    end();
    return done;
}

int mkdir(const char *name, mode_t mode) {
    return mkdirat(AT_FDCWD, name, mode);
}

int renameat(int from, const char *name, int to, const char *other) {
    char path[PATH_MAX], target[PATH_MAX];
    resolve(from, name, path);
    resolve(to, other, target);
    if (!below(path) && !below(target))
        return syscall(SYS_renameat2, from, name, to, other, 0);
    begin();
    int done = syscall(SYS_renameat2, from, name, to, other, 0);
    if (!done)
        put(RENAME, 0, 0, path, target, NULL, 0);
    end();
    return done;
}

int rename(const char *name, const char *other) {
    return renameat(AT_FDCWD, name, AT_FDCWD, other);
}

int linkat(int from, const char *name, int to, const char *other, int flags) {
    char path[PATH_MAX], target[PATH_MAX];
    resolve(from, name, path);
    resolve(to, other, target);
    if (!below(target))
        return syscall(SYS_linkat, from, name, to, other, flags);
    begin();
    int done = syscall(SYS_linkat, from, name, to, other, flags);
    if (!done)
        put(LINK, 0, 0, path, target, NULL, 0);
    end();
    return done;
}

int link(const char *name, const char *other) {
    return linkat(AT_FDCWD, name, AT_FDCWD, other, 0);
}

int unlinkat(int folder, const char *name, int flags) {
    char path[PATH_MAX];
    resolve(folder, name, path);
    if (!below(path) || strstr(path, "-shm"))
        return syscall(SYS_unlinkat, folder, name, flags);
    begin();
    int done = syscall(SYS_unlinkat, folder, name, flags);
    if (!done)
        put(REMOVE, 0, 0, path, NULL, NULL, 0);
    end();
    return done;
}

int unlink(const char *name) {
    return unlinkat(AT_FDCWD, name, 0);
}

int rmdir(const char *name) {
    return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

/* -- bytes */

static void put_written(const struct stat *file, uint64_t at, const struct iovec *parts, int count, size_t size) {
    if (count == 1) {
        put(WRITE, file->st_ino, at, NULL, NULL, parts->iov_base, size);
        return;
    }
    char *all = malloc(size), *next = all;
    for (size_t left = size; left; parts++) {
        size_t part = parts->iov_len < left ? parts->iov_len : left;
        memcpy(next, parts->iov_base, part);
        next += part;
        left -= part;
    }
    put(WRITE, file->st_ino, at, NULL, NULL, all, size);
    free(all);
}

/* At an offset, or where the descriptor is when that is negative. */
static ssize_t write_at(int fd, const struct iovec *parts, int count, off_t at) {
    struct stat file;
    if (!watched(fd, &file))
        return at < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, at, 0);
    begin();
    off_t where = at;
    if (at < 0) {
        fstat(fd, &file);
        where = fcntl(fd, F_GETFL) & O_APPEND ? file.st_size : lseek(fd, 0, SEEK_CUR);
    }
    ssize_t done = at < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, at, 0);
    if (done > 0)
        put_written(&file, where, parts, count, done);
    end();
    return done;
}

ssize_t write(int fd, const void *data, size_t size) {
    struct iovec part = {(void *)data, size};
    return write_at(fd, &part, 1, -1);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return write_at(fd, parts, count, -1);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    struct iovec part = {(void *)data, size};
    return write_at(fd, &part, 1, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) {
    return pwrite(fd, data, size, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    return write_at(fd, parts, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) {
    return write_at(fd, parts, count, at);
}

int ftruncate(int fd, off_t size) {
    struct stat file;
    if (!watched(fd, &file))
        return syscall(SYS_ftruncate, fd, size);
    begin();
    int done = syscall(SYS_ftruncate, fd, size);
    if (!done)
        put(TRUNCATE, file.st_ino, size, NULL, NULL, NULL, 0);
    end();
    return done;
}

int ftruncate64(int fd, off_t size) {
    return ftruncate(fd, size);
}

/* -- syncs */

static int synced(int fd, long call) {
    struct stat file;
    if (!watched(fd, &file))
        return syscall(call, fd);
    uint64_t which = (uint64_t)getpid() << 32 | atomic_fetch_add(&syncs, 1);
    begin();
    put(SYNC_BEGINS, file.st_ino, which, NULL, NULL, NULL, 0);
    end();
    int done = syscall(call, fd);
    if (!done) {
        begin();
        put(SYNC_ENDS, file.st_ino, which, NULL, NULL, NULL, 0);
        end();
    }
    return done;
}

int fsync(int fd) {
    return synced(fd, SYS_fsync);
}

int fdatasync(int fd) {
    return synced(fd, SYS_fdatasync);
}
