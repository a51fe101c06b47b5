/* Preloaded into a server, makes file calls fail as a bad or a full disk does.

   NEXUS_FAULTS is a file that the server shares with who wants it to fail: a struct fault, written by
   reliability/faults.py. The calls that it names fail on files whose path has a given part in it: after some that do not,
   so many times. Where the error is 0, a write is done by half and no error is told. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, READ = 4, RENAME = 8 };

struct fault {
    int32_t calls; /* which; 0: none */
    int32_t error;
    int32_t skip;
    int32_t times;
    int32_t met; /* how many failed */
    int32_t full; /* whether the disk says that it has no room */
    char part[232];
};

static volatile struct fault *fault;

__attribute__((constructor)) static void start(void) {
    const char *where = getenv("NEXUS_FAULTS");
    int fd = where ? syscall(SYS_openat, AT_FDCWD, where, O_RDWR | O_CLOEXEC, 0) : -1;
    if (fd < 0)
        return;
    void *shared = mmap(NULL, sizeof *fault, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (shared != MAP_FAILED)
        fault = shared;
}

static int fails_at(int call, const char *path) {
    if (!fault || !(fault->calls & call) || !strstr(path, (const char *)fault->part))
        return 0;
    if (__atomic_fetch_sub(&fault->skip, 1, __ATOMIC_SEQ_CST) > 0 ||
        __atomic_fetch_sub(&fault->times, 1, __ATOMIC_SEQ_CST) <= 0)
        return 0;
    __atomic_fetch_add(&fault->met, 1, __ATOMIC_SEQ_CST);
    return 1;
}

static int fails(int call, int fd) {
    char link[64], path[PATH_MAX];
    struct stat found;
    int kept = errno;
    if (!fault || !(fault->calls & call) || fstat(fd, &found) || !(S_ISREG(found.st_mode) || S_ISDIR(found.st_mode)))
        return errno = kept, 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    errno = kept;
    return fails_at(call, path);
}

static long failed(void) {
    errno = fault->error;
    return -1;
}

/* The calls that C libraries know by these names. */

ssize_t write(int fd, const void *data, size_t size) {
    if (size && fails(WRITE, fd)) {
        if (fault->error)
            return failed();
        size = (size + 1) / 2;
    }
    return syscall(SYS_write, fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    if (size && fails(WRITE, fd)) {
        if (fault->error)
            return failed();
        size = (size + 1) / 2;
    }
    return syscall(SYS_pwrite64, fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) {
    return pwrite(fd, data, size, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (fails(WRITE, fd)) {
        if (fault->error)
            return failed();
        return syscall(SYS_write, fd, parts->iov_base, (parts->iov_len + 1) / 2);
    }
    return syscall(SYS_writev, fd, parts, count);
}

ssize_t read(int fd, void *data, size_t size) {
    return fails(READ, fd) ? failed() : syscall(SYS_read, fd, data, size);
}

ssize_t pread(int fd, void *data, size_t size, off_t at) {
    return fails(READ, fd) ? failed() : syscall(SYS_pread64, fd, data, size, at);
}

ssize_t pread64(int fd, void *data, size_t size, off_t at) {
    return pread(fd, data, size, at);
}

int fsync(int fd) {
    return fails(SYNC, fd) ? failed() : syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    return fails(SYNC, fd) ? failed() : syscall(SYS_fdatasync, fd);
}

int rename(const char *path, const char *other) {
    return fails_at(RENAME, path) ? failed() : syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, other, 0);
}

static int room(int done, uint64_t *blocks, uint64_t *available) {
    if (!done && fault && fault->full)
        *blocks = *available = 0;
    return done;
}

/* On 64-bit Linux struct statfs comes from the kernel; the C library makes its statvfs of it by a call of its own. */
static int told(const char *path, struct statvfs *found) {
    struct { long type, size; unsigned long blocks, free, available, files, free_files; int id[2]; long name, fragment;
             long flags, spare[4]; } disk;
    if (syscall(SYS_statfs, path, &disk))
        return -1;
    memset(found, 0, sizeof *found);
    found->f_bsize = disk.size;
    found->f_frsize = disk.fragment ? disk.fragment : disk.size;
    found->f_blocks = disk.blocks;
    found->f_bfree = disk.free;
    found->f_bavail = disk.available;
    found->f_files = disk.files;
    found->f_ffree = found->f_favail = disk.free_files;
    found->f_flag = disk.flags;
    found->f_namemax = disk.name;
    return room(0, &found->f_bfree, &found->f_bavail);
}

int statvfs(const char *path, struct statvfs *found) {
    return told(path, found);
}

int statvfs64(const char *path, struct statvfs64 *found) {
    return told(path, (struct statvfs *)found);
}
