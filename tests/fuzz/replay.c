/*
 * Runs a fuzz target over the files of its corpus, without libFuzzer: part of the ordinary tests. Each file
 * is fed whole, cut at every length, and with every bit flipped.
 */
#include "../unit/mangle.h"
#include "base/buf.h"
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { INPUT_MAX = 1 << 20 };

static unsigned runs;

static void feed(void *arg, struct bytes input)
{
    (void)arg;
    (void)LLVMFuzzerTestOneInput(input.p, input.n);
    runs++;
}

static bool replay(int directory, const char *name)
{
    AUTO(buf) struct buf input = BUF_INIT(INPUT_MAX);
    char chunk[4096];
    ssize_t n;
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    while ((n = read(fd, chunk, sizeof chunk)) > 0)
        if (!buf_append(&input, bytes_of(chunk, (size_t)n)))
            break;
    (void)close(fd);
    return n == 0 && mangle(buf_bytes(&input), feed, NULL);
}

int main(int argc, char **argv)
{
    DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
    unsigned count = 0;

    if (!directory) {
        (void)fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return 2;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        if (!replay(dirfd(directory), entry->d_name)) {
            (void)fprintf(stderr, "%s: cannot be read\n", entry->d_name);
            return 1;
        }
        count++;
    }
    (void)closedir(directory);
    (void)printf("%u inputs, %u runs\n", count, runs);
    return count > 0 ? 0 : 1;
}
