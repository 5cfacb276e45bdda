/*
 * The status page as one document, and as C: pagetool HTML CSS JS OUT.c
 *
 * Puts the style sheet and the script where the document says @STYLE@ and @SCRIPT@, and writes C with the
 * bytes and with the Content-Security-Policy that lets these two run, named by their hashes, and nothing
 * else. [src: CSP Level 3 §8.4]
 */
#include "base/base64.h"
#include "base/buf.h"
#include "base/check.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 1 << 20, BYTES_PER_LINE = 24 };

static bool read_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "rb");
    char block[8192];
    size_t n;

    if (!file)
        return false;
    while ((n = fread(block, 1, sizeof block, file)) > 0)
        buf_append_str(out, str_of(block, n));
    bool whole = !ferror(file);
    (void)fclose(file);
    return whole && buf_ok(out);
}

/* 'sha256-…' of what is between the tags, to the byte. */
static void put_hash(struct buf *out, struct str inside)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];

    CHECK(SHA256((const unsigned char *)inside.p, inside.n, digest) != NULL);
    buf_append_c(out, "'sha256-");
    (void)base64_encode(bytes_of(digest, sizeof digest), out);
    buf_append_c(out, "'");
}

/* Replace the line that holds `mark` by an element with `inside` in it. False: it is not there once. */
static bool put_element(struct buf *page, const char *mark, const char *tag, struct str inside)
{
    AUTO(buf) struct buf made = BUF_INIT(TEXT_MAX);
    const char *text = buf_c(page), *at = strstr(text, mark);

    if (!at || strstr(at + 1, mark))
        return false;
    buf_append_str(&made, str_of(text, (size_t)(at - text)));
    buf_printf(&made, "<%s>", tag);
    buf_append_str(&made, inside);
    buf_printf(&made, "</%s>", tag);
    buf_append_c(&made, at + strlen(mark));
    buf_reset(page);
    return buf_ok(&made) && buf_append(page, buf_bytes(&made));
}

static void put_policy(struct buf *out, struct str style, struct str script)
{
    buf_append_c(out, "default-src 'none'; style-src ");
    put_hash(out, style);
    buf_append_c(out, "; script-src ");
    put_hash(out, script);
    buf_append_c(out, "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                      "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'");
}

static bool write_c(const char *path, const struct buf *page, struct buf *policy)
{
    FILE *file = fopen(path, "wb");

    if (!file)
        return false;
    (void)fprintf(file,
                  "/* Made by tools/pagetool.c. */\n#include \"watch/page_data.h\"\n\n"
                  "const char page_policy[] = \"%s\";\n\nconst unsigned char page_html[] = {",
                  buf_c(policy));
    for (size_t i = 0; i < page->n; i++)
        (void)fprintf(file, "%s%u,", i % BYTES_PER_LINE ? "" : "\n", page->p[i]);
    (void)fprintf(file, "\n};\n\nconst unsigned long page_html_n = sizeof page_html;\n");
    bool whole = !ferror(file);
    return fclose(file) == 0 && whole && buf_ok(policy);
}

int main(int argc, char **argv)
{
    AUTO(buf) struct buf page = BUF_INIT(TEXT_MAX);
    AUTO(buf) struct buf style = BUF_INIT(TEXT_MAX);
    AUTO(buf) struct buf script = BUF_INIT(TEXT_MAX);
    AUTO(buf) struct buf policy = BUF_INIT(TEXT_MAX);

    if (argc != 5 || !read_file(argv[1], &page) || !read_file(argv[2], &style) ||
        !read_file(argv[3], &script)) {
        (void)fprintf(stderr, "usage: pagetool HTML CSS JS OUT.c (readable files)\n");
        return EXIT_FAILURE;
    }
    if (strstr(buf_c(&style), "</style") || strstr(buf_c(&script), "</script") ||
        !put_element(&page, "@STYLE@", "style", buf_str(&style)) ||
        !put_element(&page, "@SCRIPT@", "script", buf_str(&script))) {
        (void)fprintf(stderr, "pagetool: %s must say @STYLE@ and @SCRIPT@ once\n", argv[1]);
        return EXIT_FAILURE;
    }
    put_policy(&policy, buf_str(&style), buf_str(&script));
    return write_c(argv[4], &page, &policy) ? EXIT_SUCCESS : EXIT_FAILURE;
}
