"""Every [src: …] of the code: which rule of which document stands where. drift.py writes it to docs/."""
import re

from common import files, name

TAG = re.compile(r"\[src:[\s*]*(.*?)\]", re.S)


def index():
    """Source → names of the files that follow it."""
    found = {}
    for path in files("src/**/*.[ch]", "tables/*.def", "tests/**/*.[ch]"):
        for match in TAG.finditer(path.read_text()):
            text = re.sub(r"\s*\n\s*\*?\s*", " ", match.group(1)).strip()
            found.setdefault(text, set()).add(name(path))
    return found


def page():
    lines = [
        "<!-- Made by tests/lint/srcindex.py from the [src: …] remarks in the code; edit those. -->",
        "# Where the rules come from",
        "",
        "| source | followed in |",
        "|---|---|",
    ]
    found = index()
    for source in sorted(found, key=str.casefold):
        cell = source.replace("|", "\\|")
        lines.append(f"| {cell} | {', '.join(f'`{p}`' for p in sorted(found[source]))} |")
    return "\n".join(lines) + "\n"
