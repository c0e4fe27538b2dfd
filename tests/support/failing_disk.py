"""A disk that is full or failing: a library that stands in for the calls that write, and lets the n-th of them fail.

It is written in C, loaded by LD_PRELOAD, and armed for one directory, by its function or by environment variables.
"""

import ctypes
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike.errors import StorageError
from tests.support.preloaded import compiled, needs_compiler

KINDS = {"full": 1, "failing": 2, "dying": 3}  # no space from the n-th call on; an error at it; an error from it on
Say = Callable[[str], None]

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

enum { NONE, FULL, FAILING, DYING };  /* no space from the n-th call on; an error at it; an error from it on */
static char below[4096];
static int kind, at, calls;

void fault_arm(const char *directory, int what, int number) {
    snprintf(below, sizeof below, "%s", directory);
    kind = what, at = number, calls = 0;
}

int fault_calls(void) { return calls; }

__attribute__((constructor)) static void arm_by_environment(void) {
    if (getenv("FAULT_BELOW")) fault_arm(getenv("FAULT_BELOW"), atoi(getenv("FAULT_KIND")), atoi(getenv("FAULT_AT")));
}

static int is_below(const char *path) { return *below && !strncmp(path, below, strlen(below)); }

static int is_file_below(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size < 0 ? 0 : size] = 0;
    return is_below(path);
}

/* Whether this call is to fail. */
static int fails(int takes_space) {
    calls++;
    if (kind == FULL && calls >= at && takes_space) return errno = ENOSPC, 1;
    if ((kind == FAILING && calls == at) || (kind == DYING && calls >= at)) return errno = EIO, 1;
    return 0;
}

static int extends(int file, off_t end) {
    struct stat status;
    return fstat(file, &status) == 0 && end > status.st_size;
}

ssize_t write(int file, const void *data, size_t size) {
    REAL(write);
    if (is_file_below(file) && fails(extends(file, lseek(file, 0, SEEK_CUR) + size)))
        return kind == FULL && calls == at && size > 1 ? real(file, data, size / 2) : -1;
    return real(file, data, size);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t offset) {
    REAL(pwrite);
    if (is_file_below(file) && fails(extends(file, offset + size)))
        return kind == FULL && calls == at && size > 1 ? real(file, data, size / 2, offset) : -1;
    return real(file, data, size, offset);
}

ssize_t pwrite64(int file, const void *data, size_t size, off_t offset) { return pwrite(file, data, size, offset); }

int ftruncate(int file, off_t size) {
    REAL(ftruncate);
    return is_file_below(file) && fails(extends(file, size)) ? -1 : real(file, size);
}

int ftruncate64(int file, off_t size) { return ftruncate(file, size); }

/* Nothing here loses power, so nothing needs to be waited for. */
int fsync(int file) {
    REAL(fsync);
    return is_file_below(file) ? -fails(0) : real(file);
}

int fdatasync(int file) {
    REAL(fdatasync);
    return is_file_below(file) ? -fails(0) : real(file);
}

int open(const char *path, int flags, ...) {
    REAL(open);
    va_list rest;
    va_start(rest, flags);
    int mode = flags & O_CREAT ? va_arg(rest, int) : 0;
    va_end(rest);
    if (flags & O_CREAT && is_below(path) && access(path, F_OK) && fails(1)) return -1;
    return real(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = flags & O_CREAT ? va_arg(rest, int) : 0;
    va_end(rest);
    return open(path, flags, mode);
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    return is_below(path) && fails(1) ? -1 : real(path, mode);
}

int rename(const char *old, const char *new) {
    REAL(rename);
    return is_below(old) && fails(0) ? -1 : real(old, new);
}

int unlink(const char *path) {
    REAL(unlink);
    return is_below(path) && fails(0) ? -1 : real(path);
}
"""


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled library."""
    needs_compiler()
    return compiled(SHIM, tmp_path_factory.mktemp("shim") / "shim")


def attempt(folder: Path, said: Path, scenario: Callable[[Path, Say], None]) -> None:
    """Runs a scenario, and writes down what it says and the error that ends it."""
    with said.open("w", buffering=1) as file:

        def say(line: str) -> None:
            file.write(f"{line}\n")

        try:
            scenario(folder, say)
            say("done")
        except StorageError as error:
            say(f"StorageError {error}")
        except BaseException as error:
            say(f"{type(error).__name__} {error}")


def numbers(kind: int, every: int, calls: int) -> range:
    """Which of the calls fail: one of so many, and with each kind of disk others."""
    return range(max(1, every * kind // len(KINDS)), calls + 1, every)


def attempt_all(root: Path, kind: int, scenario: Callable[[Path, Say], None], template: Path, every: int) -> None:
    """Lets each of the calls that write fail once, every time in a process of its own, a fork of this one.

    Args:
        root: the folder for the attempts; each leaves the folder `photos` and the files `said` and `calls` in its own.
        kind: one of KINDS.
        scenario: what is attempted in a folder.
        template: the folder that each attempt begins with.
        every: one of so many calls fails; in the first attempt none does, and they are counted.
    """
    library = ctypes.CDLL(None)

    def attempt_one(number: int) -> int:
        attempted = root / str(number)
        shutil.copytree(template, attempted / "photos")
        child = os.fork()
        if not child:
            below = os.fsencode(attempted / "photos" / ".lookalike")
            library.fault_arm(below, kind if number else 0, number)
            attempt(attempted / "photos", attempted / "said", scenario)
            (attempted / "calls").write_text(str(library.fault_calls()))
            os._exit(0)
        os.waitpid(child, 0)
        return int((attempted / "calls").read_text())

    for number in numbers(kind, every, attempt_one(0)):
        attempt_one(number)
