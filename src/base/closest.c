/* Optimal string alignment distance over three rows of the table. */
#include "base/closest.h"

static size_t min2(size_t a, size_t b)
{
    return a < b ? a : b;
}

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

size_t closest_distance(struct str a, struct str b)
{
    size_t rows[3][CLOSEST_NAME_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    if (a.n > CLOSEST_NAME_MAX || b.n > CLOSEST_NAME_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.n; j++)
        above[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            bool same = fold(a.p[i - 1]) == fold(b.p[j - 1]);
            row[j] = min2(min2(above[j] + 1, row[j - 1] + 1), above[j - 1] + !same);
            if (i > 1 && j > 1 && fold(a.p[i - 1]) == fold(b.p[j - 2]) &&
                fold(a.p[i - 2]) == fold(b.p[j - 1]))
                row[j] = min2(row[j], before[j - 2] + 1);
        }
        size_t *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[b.n];
}

bool closest_enough(struct str a, struct str b, size_t distance)
{
    size_t longer = a.n > b.n ? a.n : b.n;

    return distance != SIZE_MAX && distance <= (longer + 2) / 3;
}

struct closest closest_begin(struct str name)
{
    return (struct closest){ .name = name, .distance = SIZE_MAX };
}

void closest_offer(struct closest *search, struct str known)
{
    size_t distance = closest_distance(search->name, known);

    if (distance >= search->distance || !closest_enough(search->name, known, distance))
        return;
    search->distance = distance;
    search->best = known;
}
