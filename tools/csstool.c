/* A style sheet as C: csstool CSS OUT.c NAME */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    FILE *in = argc == 4 ? fopen(argv[1], "rb") : NULL;
    FILE *out = argc == 4 ? fopen(argv[2], "wb") : NULL;
    int c;

    if (!in || !out)
        return EXIT_FAILURE;
    (void)fprintf(out, "extern const char %s[];\nconst char %s[] = {", argv[3], argv[3]);
    while ((c = fgetc(in)) != EOF)
        (void)fprintf(out, "%d,", c > 127 ? c - 256 : c);
    (void)fputs("0};\n", out);
    return ferror(in) || fclose(in) != 0 || fclose(out) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
