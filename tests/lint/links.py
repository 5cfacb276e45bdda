"""Links of the documents lead to files and headings that exist, and the site of mkdocs.yml has each page once.

What a page links to must be in the site, too: `make site` refuses a link to a page that it does not have.
"""
import re
from pathlib import Path

from common import ROOT, files, finish, name

LINK = re.compile(r"\]\(([^)\s]+)\)")
ELSEWHERE = re.compile(r"[a-z]+:")
MADE = {"index.md", "messages.md"}  # tools/site.sh makes them: of README.md, of src/
NOT_PAGES = {"docs/man", "LICENSE"}


def prose(path):
    """Without fenced blocks and code in the line, which may look like links."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ +(.+?) *$", text, re.M)
    return {re.sub(r" +", "-", re.sub(r"[^\w\- ]", "", title.lower()).strip()) for title in titles}


def in_site(path):
    """The page's name in the nav: docs/X.md is X.md there, and the pages of the root lie beside them."""
    return "index.md" if name(path) == "README.md" else name(path).removeprefix("docs/")


def nav():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    return re.findall(r": ([\w./-]+\.md)$", text, re.M)


def link_complaints(pages, shown):
    for page in pages:
        for link in LINK.findall(prose(page)):
            target, _, anchor = link.partition("#")
            if ELSEWHERE.match(target):
                continue
            path = (page.parent / target).resolve() if target else page
            if not path.exists():
                yield f"{name(page)}: no such file: {link}"
            elif anchor and anchor not in anchors(path):
                yield f"{name(page)}: no such heading: {link}"
            elif in_site(page) in shown and path.suffix in ("", ".md") and name(path) not in NOT_PAGES and in_site(path) not in shown:
                yield f"{name(page)}: {link} is not a page of the site: mkdocs.yml"


def nav_complaints(shown):
    pages = {in_site(p) for p in files("docs/**/*.md")} | {f"man/{p.name}.md" for p in files("docs/man/*")}
    for page in sorted(pages - set(shown)):
        yield f"mkdocs.yml: lacks {page}"
    for page in sorted({p for p in shown if shown.count(p) > 1}):
        yield f"mkdocs.yml: has {page} twice"
    for page in shown:
        if page not in pages | MADE and not (ROOT / page).is_file():
            yield f"mkdocs.yml: {page} does not exist"


def main():
    documents = files("*.md", "docs/**/*.md", "bench/*.md")
    shown = nav()
    finish([*link_complaints(documents, shown), *nav_complaints(shown)], "links")


main()
