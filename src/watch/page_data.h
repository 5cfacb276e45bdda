/** The status page's bytes and its Content-Security-Policy, made of src/watch/page/ by tools/pagetool.c. */
#ifndef PGSEAL_WATCH_PAGE_DATA_H
#define PGSEAL_WATCH_PAGE_DATA_H

extern const char page_policy[];
extern const unsigned char page_html[];
extern const unsigned long page_html_n;

#endif
