"""Documents against what they are made of: docs/man, docs/settings.md, docs/traceability.md, --help.

  drift.py TABLEDOC PGSEAL          complain about every difference
  drift.py --write TABLEDOC PGSEAL  write the documents anew
"""
import pathlib
import re
import subprocess
import sys
import tempfile

import srcindex
from common import ROOT, files, finish, name

arguments = sys.argv[1:]
write = arguments[0] == "--write"
tabledoc, pgseal = arguments[-2:]
docs = ROOT / "docs"


def generated():
    """Name below docs/ → text."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([tabledoc, directory], check=True)
        base = pathlib.Path(directory)
        texts = {str(p.relative_to(base)): p.read_text() for p in sorted(base.rglob("*")) if p.is_file()}
    texts["traceability.md"] = srcindex.page()
    return texts


def stale(texts):
    """Manual pages nothing makes any more."""
    return [p for p in sorted((docs / "man").glob("*")) if f"man/{p.name}" not in texts]


def help_of(*words):
    return subprocess.run([pgseal, *words, "--help"], check=True, capture_output=True, text=True).stdout


def help_complaints():
    """Every option of a command that is in the program stands in its --help and in its manual page."""
    commands = re.findall(r"^  (\w+) ", help_of().split("Commands:")[1].split("\n\n")[0], re.M)
    rows = re.findall(r'^OPT\((\w+), \w+, (?:"([^"]+)"|NULL)', (ROOT / "tables/commands.def").read_text(), re.M)
    for command in commands:
        text = help_of(command)
        for owner, option in rows:
            if owner == command and option and f"--{option}" not in text:
                yield f"pgseal {command} --help does not tell --{option}"


def verb_complaints():
    """Every verb says which options it takes, and every option of its command belongs to one."""
    table = (ROOT / "tables/commands.def").read_text()
    verbs = set(re.findall(r"^VERB\((\w+), (\w+),", table, re.M))
    options = set(re.findall(r'^OPT\((\w+), \w+, "([^"]+)"', table, re.M))
    taken = set()
    for command, verb, names in re.findall(r'^TAKES\((\w+), (\w+),((?:\s*"[^"]*")+)\)', table, re.M):
        verbs.discard((command, verb))
        for option in "".join(re.findall(r'"([^"]*)"', names)).split():
            taken.add((command, option))
            if (command, option) not in options and option not in ("json", "color"):
                yield f"tables/commands.def: TAKES({command}, {verb}) names --{option}, which {command} does not have"
    for command, verb in sorted(verbs):
        yield f"tables/commands.def: the verb {command} {verb} has no TAKES row"
    for command, option in sorted(options):
        if any(c == command for c, _ in taken) and (command, option) not in taken:
            yield f"tables/commands.def: no TAKES row of {command} names --{option}"


def commands_in(path):
    """Every `pgseal COMMAND ...` of a document, or of the texts in a source: the command and the words after it."""
    text = re.sub(r"\\\n *", " ", path.read_text(encoding="utf-8"))
    if path.suffix in (".c", ".def"):
        text = re.sub(r'"\s*\n\s*"', "", text).replace('"', "`")
    return re.findall(r"pgseal (\w+)((?: (?!pgseal )[^`\n;|>()]*)?)", text)


def advice_complaints():
    """What documents, hints and remedies tell people to run has options that the command, or its verb, takes."""
    table = (ROOT / "tables/commands.def").read_text()
    takes = {command: {"json", "verbose", "color", "help"} for command in re.findall(r"^COMMAND\((\w+),", table, re.M)}
    for command, option in re.findall(r'^OPT\((\w+), \w+, "([^"]+)"', table, re.M):
        takes[command].add(option)
    for command, verb, names in re.findall(r'^TAKES\((\w+), (\w+),((?:\s*"[^"]*")+)\)', table, re.M):
        takes[f"{command} {verb}"] = {"json", "verbose", "color", "help", *"".join(re.findall('"([^"]*)"', names)).split()}
    takes.pop("psql")  # everything else is psql's own
    for path in files("*.md", "docs/**/*.md", "tables/*.def", "src/**/*.c", "dist/**/*.yml", "dist/**/*.service"):
        for command, words in commands_in(path):
            verb = f"{command}{(re.match(' [a-z]+', words) or [''])[0]}"
            known = takes.get(verb, takes.get(command))
            for option in re.findall(r"(?<![\w-])--([a-z][a-z-]+)", words):
                if known is not None and option not in known:
                    yield f"{name(path)}: pgseal {command}{words.rstrip()}: there is no --{option}"


texts = generated()
if write:
    (docs / "man").mkdir(parents=True, exist_ok=True)
    for path in stale(texts):
        path.unlink()
    for page, text in texts.items():
        (docs / page).write_text(text)
    sys.exit(0)

complaints = [f"docs/man/{p.name}: nothing makes it" for p in stale(texts)]
for page, text in texts.items():
    path = docs / page
    if not path.exists() or path.read_text() != text:
        complaints.append(f"docs/{page} differs from what it is made of; run: ninja -C build docs")
complaints += help_complaints()
complaints += verb_complaints()
complaints += advice_complaints()
finish(complaints, "drift")
