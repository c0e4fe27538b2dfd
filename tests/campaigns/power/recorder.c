/* Records what a process does to the files below one directory: loaded by LD_PRELOAD.

   RECORD_BELOW names the directory, and RECORD_TO the file to write to. Each entry is a head and its data; the numbers
   are in the machine's own byte order. Syncing takes no time: nothing here loses power. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

struct __attribute__((packed)) head {
    char kind;
    uint64_t inode, offset;
    uint32_t size;
};

static char below[4096];
static int record = -1;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER; /* the entries are in the order in which things happen */

static void put(const void *data, size_t size) {
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    if (real(record, data, size) != (ssize_t)size) abort();
}

static void add(char kind, uint64_t inode, uint64_t offset, const void *data, size_t size) {
    struct head head = {kind, inode, offset, size};
    put(&head, sizeof head);
    put(data, size);
}

__attribute__((constructor)) static void begin(void) {
    const char *directory = getenv("RECORD_BELOW"), *to = getenv("RECORD_TO");
    if (!directory || !to) return;
    int file = open(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) abort();
    snprintf(below, sizeof below, "%s", directory);
    record = file;
}

void record_note(const char *text) {
    pthread_mutex_lock(&order);
    if (record >= 0) add('n', 0, 0, text, strlen(text));
    pthread_mutex_unlock(&order);
}

static int is_below(const char *path) { return record >= 0 && !strncmp(path, below, strlen(below)); }

static void path_of(int file, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, size - 1);
    path[length < 0 ? 0 : length] = 0;
}

static int is_file_below(int file) {
    char path[4096];
    if (record < 0 || file == record) return 0;
    path_of(file, path, sizeof path);
    return is_below(path);
}

static void absolute(int directory, const char *path, char *result, size_t size) {
    char folder[4096] = "";
    if (*path != '/' && directory != AT_FDCWD) path_of(directory, folder, sizeof folder);
    snprintf(result, size, "%s%s%s", folder, *folder ? "/" : "", path);
}

static uint64_t inode_of(int file) {
    struct stat status;
    return fstat(file, &status) ? 0 : status.st_ino;
}

/* Runs a call, and records it if it has succeeded. */
#define RECORDED(type, is_recorded, call, success, entry) \
    if (!(is_recorded)) return call;                      \
    pthread_mutex_lock(&order);                           \
    type result = call;                                   \
    if (success) entry;                                   \
    pthread_mutex_unlock(&order);                         \
    return result

/* Files */

ssize_t write(int file, const void *data, size_t size) {
    REAL(write);
    RECORDED(ssize_t, is_file_below(file), real(file, data, size), result > 0,
             add('w', inode_of(file), lseek(file, 0, SEEK_CUR) - result, data, result));
}

ssize_t pwrite(int file, const void *data, size_t size, off_t offset) {
    REAL(pwrite);
    RECORDED(ssize_t, is_file_below(file), real(file, data, size, offset), result > 0,
             add('w', inode_of(file), offset, data, result));
}

ssize_t pwrite64(int file, const void *data, size_t size, off_t offset) { return pwrite(file, data, size, offset); }

int ftruncate(int file, off_t size) {
    REAL(ftruncate);
    RECORDED(int, is_file_below(file), real(file, size), !result, add('t', inode_of(file), size, "", 0));
}

int ftruncate64(int file, off_t size) { return ftruncate(file, size); }

int fsync(int file) {
    REAL(fsync);
    if (!is_file_below(file)) return real(file);
    pthread_mutex_lock(&order);
    add('s', inode_of(file), 0, "", 0);
    pthread_mutex_unlock(&order);
    return 0;
}

int fdatasync(int file) { return fsync(file); }

/* Names */

static void add_opened(int file, const char *path, int is_new) {
    if (is_new) add('c', inode_of(file), 0, path, strlen(path));
    else add('t', inode_of(file), 0, "", 0);
}

int openat(int directory, const char *path, int flags, ...) {
    REAL(openat);
    va_list rest;
    va_start(rest, flags);
    int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, int) : 0;
    va_end(rest);
    char full[8192];
    absolute(directory, path, full, sizeof full);
    int is_new = access(full, F_OK);
    RECORDED(int, flags & (O_CREAT | O_TRUNC) && is_below(full), real(directory, path, flags, mode),
             result >= 0 && (is_new || flags & O_TRUNC), add_opened(result, full, is_new));
}

#define OPENED_AT(directory)                                                    \
    va_list rest;                                                               \
    va_start(rest, flags);                                                      \
    int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, int) : 0;         \
    va_end(rest);                                                               \
    return openat(directory, path, flags, mode)

int openat64(int directory, const char *path, int flags, ...) { OPENED_AT(directory); }
int open(const char *path, int flags, ...) { OPENED_AT(AT_FDCWD); }
int open64(const char *path, int flags, ...) { OPENED_AT(AT_FDCWD); }

static void add_directory(const char *path) {
    struct stat status;
    if (!stat(path, &status)) add('m', status.st_ino, 0, path, strlen(path));
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    RECORDED(int, is_below(path), real(path, mode), !result, add_directory(path));
}

static void add_renamed(const char *old, const char *new) {
    char both[8192];
    int size = snprintf(both, sizeof both, "%s%c%s", old, 0, new);
    add('r', 0, 0, both, size);
}

int rename(const char *old, const char *new) {
    REAL(rename);
    RECORDED(int, is_below(new), real(old, new), !result, add_renamed(old, new));
}

int unlink(const char *path) {
    REAL(unlink);
    RECORDED(int, is_below(path), real(path), !result, add('u', 0, 0, path, strlen(path)));
}

int rmdir(const char *path) {
    REAL(rmdir);
    RECORDED(int, is_below(path), real(path), !result, add('u', 0, 0, path, strlen(path)));
}

int unlinkat(int directory, const char *path, int flags) {
    REAL(unlinkat);
    char full[8192];
    absolute(directory, path, full, sizeof full);
    RECORDED(int, is_below(full), real(directory, path, flags), !result, add('u', 0, 0, full, strlen(full)));
}
