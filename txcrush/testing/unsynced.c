/* Keeps of each database file what was synced, and nothing else: after a kill that is what a loss of power would leave.
 *
 * Loaded before the C library. Whenever a file whose name ends in .db or .db-wal is synced, its content is copied to
 * NAME.synced, under another name first, so that the copy is always whole. A test then puts the copies in the place of
 * the files. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int ends(const char *text, const char *end)
{
    size_t length = strlen(text), size = strlen(end);
    return length >= size && strcmp(text + length - size, end) == 0;
}

static void keep(int file)
{
    char link[64], name[4096], copy[4200], partial[4200], block[65536];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0)
        return;
    name[length] = 0;
    if (!ends(name, ".db") && !ends(name, ".db-wal"))
        return;
    snprintf(copy, sizeof copy, "%s.synced", name);
    snprintf(partial, sizeof partial, "%s.syncing", name);
    int target = open(partial, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    off_t at = 0;
    ssize_t got;
    while ((got = pread(file, block, sizeof block, at)) > 0) {
        if (pwrite(target, block, (size_t)got, at) != got)
            break;
        at += got;
    }
    close(target);
    rename(partial, copy);
}

int fsync(int file)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    int result = real(file);
    keep(file);
    return result;
}

int fdatasync(int file)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    int result = real(file);
    keep(file);
    return result;
}
