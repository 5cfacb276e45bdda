#!/usr/bin/python3
"""
Give each cell of the site's tables the title of its column: tools/cards.py SITE

On a phone tools/site.css shows a row as a card, and each cell under that title (data-label).
"""

import html
import pathlib
import re
import sys


def labelled(table):
    """One table, with titles in its cells."""
    titles = [html.escape(html.unescape(re.sub(r"<[^>]*>", "", title)).strip(), quote=True)
              for title in re.findall(r"<th\b[^>]*>(.*?)</th>", table, re.S)]

    def row(match):
        labels = iter(titles)
        return re.sub(r"<td\b", lambda _: f'<td data-label="{next(labels, "")}"', match.group())

    return re.sub(r"<tr\b.*?</tr>", row, table, flags=re.S)


def main():
    for page in pathlib.Path(sys.argv[1]).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        cards = re.sub(r"<table\b.*?</table>", lambda match: labelled(match.group()), text, flags=re.S)
        if cards != text:
            page.write_text(cards, encoding="utf-8")


if __name__ == "__main__":
    main()
