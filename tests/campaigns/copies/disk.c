/* Stands in for the calls that change files: one of them kills the process, or no space is left from it on.

   It is loaded by LD_PRELOAD, and armed for the paths below one directory. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

enum { NOTHING, KILL, FULL };               /* what happens at the call of a number, and from it on */
enum { LINKS, OTHER_DISK, NO_LINKS };       /* whether there are hard links, and between which folders */
static char below[4096], beyond[4096];
static int kind, at, calls, links;

/* What happens below a directory; `other` is the one that is on a disk of its own. */
void disk_arm(const char *directory, const char *other, int what, int number, int linking) {
    snprintf(below, sizeof below, "%s", directory);
    snprintf(beyond, sizeof beyond, "%s", other);
    kind = what, at = number, calls = 0, links = linking;
}

int disk_calls(void) { return calls; }

static int is_in(const char *path, const char *directory) {
    return *directory && !strncmp(path, directory, strlen(directory));
}

static int is_file_below(int file) {
    char link[64], path[4096];
    if (!*below) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size < 0 ? 0 : size] = 0;
    return is_in(path, below);
}

/* Whether a call fails that takes space or not. */
static int fails(int takes_space) {
    calls++;
    if (kind == KILL && calls == at) kill(getpid(), SIGKILL);
    return kind == FULL && calls >= at && takes_space ? errno = ENOSPC, 1 : 0;
}

ssize_t write(int file, const void *data, size_t size) {
    REAL(write);
    if (!is_file_below(file)) return real(file, data, size);
    int is_torn = calls + 1 == at && size > 1 && kind != NOTHING;
    if (is_torn && kind == KILL) (void)!real(file, data, size / 2);
    return fails(1) ? (is_torn ? real(file, data, size / 2) : -1) : real(file, data, size);
}

int fsync(int file) {
    REAL(fsync);
    return is_file_below(file) ? -fails(0) : real(file); /* nothing here loses power */
}

int ftruncate(int file, off_t size) {
    REAL(ftruncate);
    return is_file_below(file) && fails(0) ? -1 : real(file, size);
}

int ftruncate64(int file, off_t size) { return ftruncate(file, size); }

int open(const char *path, int flags, ...) {
    REAL(open);
    va_list rest;
    va_start(rest, flags);
    int mode = flags & O_CREAT ? va_arg(rest, int) : 0;
    va_end(rest);
    if (flags & O_CREAT && is_in(path, below) && access(path, F_OK) && fails(1)) return -1;
    return real(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = flags & O_CREAT ? va_arg(rest, int) : 0;
    va_end(rest);
    return open(path, flags, mode);
}

int link(const char *old, const char *new) {
    REAL(link);
    if (is_in(new, below)) {
        if (links == NO_LINKS) return errno = EPERM, -1;
        if (links == OTHER_DISK && is_in(old, beyond) != is_in(new, beyond)) return errno = EXDEV, -1;
        if (fails(1)) return -1;
    }
    return real(old, new);
}

int rename(const char *old, const char *new) {
    REAL(rename);
    return is_in(old, below) && fails(0) ? -1 : real(old, new);
}

int unlink(const char *path) {
    REAL(unlink);
    return is_in(path, below) && fails(0) ? -1 : real(path);
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    return is_in(path, below) && fails(1) ? -1 : real(path, mode);
}

int rmdir(const char *path) {
    REAL(rmdir);
    return is_in(path, below) && fails(0) ? -1 : real(path);
}

int chmod(const char *path, mode_t mode) {
    REAL(chmod);
    return is_in(path, below) && fails(0) ? -1 : real(path, mode);
}

int utimensat(int folder, const char *path, const struct timespec *times, int flags) {
    REAL(utimensat);
    return path && is_in(path, below) && fails(0) ? -1 : real(folder, path, times, flags);
}
