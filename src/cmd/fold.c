#include "cmd/fold.h"

enum { TEXT_WIDTH = 98 };

size_t fold_word(FILE *out, struct str word)
{
    size_t columns = 0;

    for (size_t i = 0; i < word.n; i++) {
        unsigned char c = (unsigned char)word.p[i];
        if (c < 0x20 || c == 0x7f)
            columns += (size_t)fprintf(out, "\\x%02x", c);
        else if (fputc(c, out) != EOF)
            columns += (c & 0xc0) != 0x80;
    }
    return columns;
}

void fold_print(FILE *out, const char *label, struct str text)
{
    size_t column = (size_t)fprintf(out, "         %-5s", label), indent = column;
    struct str word;

    while (str_split(&text, ' ', &word)) {
        if (column > indent && column + 1 + word.n > TEXT_WIDTH)
            column = (size_t)fprintf(out, "\n%*s", (int)indent, "") - 1;
        else if (column > indent)
            column += fputc(' ', out) != EOF;
        column += fold_word(out, word);
    }
    (void)fputc('\n', out);
}
