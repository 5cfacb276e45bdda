/** Directories that a test has made, with all that is in them. */
#ifndef PGSEAL_TESTS_TREE_H
#define PGSEAL_TESTS_TREE_H

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>

enum { TREE_OPEN_MAX = 16 };

static inline int tree_remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static inline bool tree_remove(const char *root)
{
    return nftw(root, tree_remove_one, TREE_OPEN_MAX, FTW_DEPTH | FTW_PHYS) == 0;
}

#endif
