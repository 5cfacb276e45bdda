"""A page of docs/ followed word for word: its commands run as they stand, and print what stands there."""

import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]


def like(text, directory):
    """Without what differs from day to day: numbers, fingerprints, the directory, the width of columns."""
    text = re.sub(rf"{re.escape(directory)}/(gate/)?|(?<=\s)gate/(?=(?:tls|clients)/)", "", text)
    text = re.sub(r"\b([0-9a-f]{64}|[0-9a-f]{32})\b", "HASH", text)
    return re.sub(r"[ \t]+", " ", re.sub(r"\d+", "N", text)).replace(" \n", "\n").strip()


def files(text):
    """Files that the page shows: a fenced block of another language under a line that ends with the file's name and a colon."""
    return re.findall(r"`([\w.-]+)`:\n\n```(?!sh\n|text\n)\w+\n(.*?)^```$", text, re.M | re.S)


def follow(page, program, directory, around=("bash", "-c"), before="", after="", **env):
    """
    Run all ``sh`` blocks of docs/howto/PAGE (or docs/PAGE, where that has a directory) in one shell, in `directory`; a ``text`` block is the end of what the block
    before it prints, and the files that the page shows are there. Returns what each block printed, and behind it what `after` did.
    """
    text = (ROOT / "docs/howto" / page).read_text(encoding="utf-8")
    for name, content in files(text):
        pathlib.Path(directory, name).write_text(content, encoding="utf-8")
    blocks = re.findall(r"^```(sh|text)\n(.*?)^```$", text, re.M | re.S)
    commands = [part for kind, part in blocks if kind == "sh"]
    script = f"set -e\n{before}\n" + "".join(f"{part}echo '=== end {i}'\n" for i, part in enumerate(commands)) + after
    env = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "PGSEAL_SHARE": str(ROOT / "dist"), **env}
    env["PATH"] = f"{os.path.dirname(program)}:{env['PATH']}"
    done = subprocess.run([*around, script], cwd=directory, env=env, text=True, capture_output=True, timeout=120,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    printed = re.split(r"=== end \d+\n", done.stdout)
    at = -1
    for kind, part in blocks:
        if kind == "sh":
            at += 1
        else:
            assert like(printed[at], str(directory)).endswith(like(part, str(directory))), (commands[at], printed[at])
    return printed


def titled(page, title):
    """The block of docs/howto/PAGE whose first line is the comment `title`."""
    text = (ROOT / "docs/howto" / page).read_text(encoding="utf-8")
    found = [body for body in re.findall(r"^```\w+\n(.*?)^```$", text, re.M | re.S)
             if body.partition("\n")[0].lstrip("#; ") == title]
    assert len(found) == 1, title
    return found[0]
