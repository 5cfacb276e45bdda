"""What a release says of itself: one version everywhere, a CHANGELOG as Keep a Changelog has it, names that exist."""
import re

from common import ROOT, files, finish, name

HEADINGS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


def version_complaints(version):
    """meson.build has the version; whatever else must spell it out says the same."""
    packaged = re.match(r"pgseal \((.*)-[^-]*\) ", text_of("debian/changelog"))[1]
    if packaged != version:
        yield f"debian/changelog:1: version {packaged}, but meson.build has {version}"
    for path in files("dist/kubernetes/*/kustomization.yaml"):
        for tag in re.findall(r"- name: pgseal\n.*\n  newTag: (.*)", path.read_text(encoding="utf-8")):
            if tag != version:
                yield f"{name(path)}: newTag {tag}, but meson.build has {version}"


def changelog_complaints(version):
    """Sections from new to old, each with a date but the first, and only the headings there are."""
    text = text_of("CHANGELOG.md")
    sections = re.findall(r"^## (.*)$", text, re.M)
    newest = re.match(r"\[(\d+\.\d+\.\d+)\] - ", sections[0])
    if sections[0] != "[Unreleased]" and not newest:
        yield f"CHANGELOG.md: the first section is \"{sections[0]}\", not [Unreleased] or a release"
    for section in sections[1:]:
        if not re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", section):
            yield f"CHANGELOG.md: \"{section}\" is not [MAJOR.MINOR.PATCH] - YEAR-MONTH-DAY"
    released = newest[1] if newest else None
    if version not in text.split("\n## ")[1] and released != version:
        yield f"CHANGELOG.md: the first section does not name {version}, the version of meson.build"
    for heading in re.findall(r"^### (.*)$", text, re.M):
        if heading not in HEADINGS:
            yield f"CHANGELOG.md: \"{heading}\" is none of {', '.join(sorted(HEADINGS))}"


def name_complaints():
    """A name with an underscore is a setting, a view, a column, a metric, a finding, a key of the log: the sources have it."""
    sources = "\n".join(p.read_text(encoding="utf-8") for p in files("tables/*.def", "src/**/*.c", "meson_options.txt"))
    known = set(re.findall(r"\w+", sources))
    for document in ("CHANGELOG.md", "docs/installing.md"):
        for number, line in enumerate(text_of(document).splitlines(), 1):
            for code in re.findall(r"`([^`]+)`", line):
                for word in re.findall(r"[a-z]\w*_\w+", code):
                    if word not in known:
                        yield f"{document}:{number}: there is no \"{word}\""


def exit_complaints():
    """The statuses that a command ends with are those which are promised to stay."""
    used = set(re.findall(r'^X\(\w+, *"\w+", *(\d+)', text_of("tables/errors.def"), re.M))
    line = re.search(r"^- \*\*Exit statuses\*\*: (.*?);", text_of("docs/installing.md"), re.M)[1]
    promised = set(re.findall(r"(?:^|, )(\d)\b", line))
    for status in sorted(used ^ promised):
        yield f"docs/installing.md: exit status {status} is either promised or used, not both"


current = re.search(r"^  version: '(.*)',", text_of("meson.build"), re.M)[1]
finish([*version_complaints(current), *changelog_complaints(current), *name_complaints(), *exit_complaints()], "release")
