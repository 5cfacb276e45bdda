"""Comments: what they name exists, each belongs to something, and private headers are spelt NAME_impl.h."""
import collections
import re

from common import ROOT, files, finish, name

CODE = ("src/**/*.[ch]", "tests/**/*.[ch]", "tools/*.[ch]", "bench/*.[ch]")
TEXTS = CODE + ("tables/*.def", "tests/**/*.py", "tools/*", "bench/*.py", "dist/**/*", "src/**/*.js", "src/**/*.sql")
TOPS = ("bench", "dist", "docs", "src", "tables", "tests", "tools")
DOCUMENTS = ("*.md", "docs/*.md", "bench/*.md")
HISTORY = {"CHANGELOG.md"}  # speaks of what was

COMMENT = re.compile(r"""(/\*.*?\*/) | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*'""", re.S | re.X)
SOURCE = re.compile(r"\[src:.*?\]", re.S)
FILE = re.compile(r"(?<![\w*./-])((?:[\w-]+/)*[\w-]+\.(?:c|h|def|py|sh|js))(?![\w*/.-]\w|\w)")
FUNCTION = re.compile(r"(?<![\w.:>])([a-z]\w*)\(\)")
SNAKE = re.compile(r"(?<![\w.%*/-])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?![\w.*…-]|\()")
WORD = re.compile(r"[A-Za-z_]\w+")
PAGE = re.compile(r"\bdesign(?:\.md)? ?§|\b(?:[\w-]+/)*[\w-]+\.md\b")
PLACEHOLDER = re.compile(r"(?:^|/)[A-Z]+[./]|^(?:room|dir)/file\.h$")  # src/cmd/NAME.c
# Names of PostgreSQL, OpenLDAP, the kernel and the style that no text of the tree has.
ELSEWHERE = {
    "client_finished_auth",
    "dblink_fdw",
    "finish_task_switch",
    "io_uring_params",
    "ldap_url_parse",
    "missing_ok",
    "module_verb_object",
    "pg_subscription",
}

Names = collections.namedtuple("Names", "files words")


def spaces(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def comments(text):
    """Position and text of each comment."""
    for match in COMMENT.finditer(text):
        if match.group(1):
            yield match.start(1), match.group(1)


def line_at(text, position):
    return text.count("\n", 0, position) + 1


def tree():
    """The paths of the tree, and every tail of them: "hba.c", "policy/hba.c", …"""
    tails = set()
    for path in files("*", ".ci/*", *(f"{top}/**/*" for top in TOPS)):
        parts = path.relative_to(ROOT).parts
        tails.update("/".join(parts[i:]) for i in range(len(parts)))
    return tails


def foreign_headers():
    """What is included in angle brackets."""
    return {m for p in files(*CODE) for m in re.findall(r"^#include <([\w/.]+)>", p.read_text(), re.M)}


def words_of_code():
    """Every word that stands outside of comments."""
    known = {path.stem.removeprefix("fuzz_") for path in files("tests/fuzz/fuzz_*.c")}
    for path in files(*TEXTS):
        text = path.read_text(errors="replace")
        if path.suffix in (".c", ".h", ".def"):
            text = COMMENT.sub(lambda m: " " if m.group(1) else m.group(0), text)
        known.update(WORD.findall(text))
    return known


def follows(text, end):
    """The line after a comment; None at the end of the file."""
    rest = text[end:].split("\n", 2)
    if rest[0].strip():
        return rest[0].strip()
    return rest[1].strip() if len(rest) > 1 else None


def stands_alone(text, position, comment):
    if not comment.startswith("/**") or comment.startswith("/***"):
        return False
    after = follows(text, position + len(comment))
    return not after or after.startswith(("/*", "#include", "#endif", "}"))


def missing(text, tree_has):
    """Position and complaint for each file and function that the text names and nobody has."""
    for match in FILE.finditer(text):
        if not PLACEHOLDER.search(match.group(1)) and match.group(1) not in tree_has.files:
            yield match.start(), f"{match.group(1)} does not exist"
    for match in FUNCTION.finditer(text):
        if match.group(1) not in tree_has.words:
            yield match.start(), f"{match.group(1)}() does not exist"
    for match in SNAKE.finditer(text):
        if match.group(0) not in tree_has.words:
            yield match.start(), f"{match.group(0)} does not exist"


def of_comments(path, tree_has):
    text = path.read_text()
    for position, comment in comments(text):

        def at(offset, position=position):
            return f"{name(path)}:{line_at(text, position + offset)}"

        if stands_alone(text, position, comment):
            yield f"{at(0)}: a /** */ with no declaration below it"
        for match in PAGE.finditer(comment):
            if match.group(0) not in tree_has.files and not PLACEHOLDER.search(match.group(0)):
                yield f"{at(match.start())}: {match.group(0)} is no page of the tree"
        for offset, what in missing(SOURCE.sub(spaces, comment), tree_has):
            yield f"{at(offset)}: {what}"


def of_documents(path, tree_has):
    text = path.read_text()
    for quoted in re.finditer(r"`[^`\n]+`", text):
        for offset, what in missing(quoted.group(0), tree_has):
            yield f"{name(path)}:{line_at(text, quoted.start() + offset)}: {what}"


def of_fuzz_targets():
    """CONTRIBUTING's table names every fuzz target."""
    table = (ROOT / "CONTRIBUTING.md").read_text()
    for path in files("tests/fuzz/fuzz_*.c"):
        if f"`{path.stem.removeprefix('fuzz_')}`" not in table:
            yield f"CONTRIBUTING.md: the table of fuzz targets lacks {path.stem}"


def of_private_headers():
    """NAME_impl.h is what the files of one directory share; nothing else is named so, or so included."""
    for path in files("src/**/*.h"):
        if re.search(r"_(?:int|internal|internals|priv|private|p)\.h$", path.name):
            yield f"{name(path)}: a private header is called NAME_impl.h"
    for path in files("src/**/*.[ch]"):
        for match in re.finditer(r'^#include "([\w/]+_impl\.h)"', path.read_text(), re.M):
            if (ROOT / "src" / match.group(1)).parent != path.parent:
                yield f"{name(path)}: {match.group(1)} is private to its directory"


def complaints():
    tree_has = Names(tree() | foreign_headers(), words_of_code() | ELSEWHERE)
    for path in files(*CODE, "tables/*.def"):
        yield from of_comments(path, tree_has)
    for path in files(*DOCUMENTS):
        if path.name not in HISTORY and "traceability" not in path.name:
            yield from of_documents(path, tree_has)
    yield from of_fuzz_targets()
    yield from of_private_headers()


finish(list(complaints()), "comments")
