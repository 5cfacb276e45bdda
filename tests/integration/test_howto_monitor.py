"""docs/howto/expiry-alert.md, word for word: every command runs as it stands, and what it prints is what stands there."""

import os
import pathlib
import re
import subprocess

from lib import run

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/howto/expiry-alert.md"


def like(text, directory):
    """Without what differs from day to day: numbers, the directory, the width of columns."""
    text = text.replace(directory + "/gate/", "")
    return re.sub(r"[ \t]+", " ", re.sub(r"\d+", "N", text)).strip()


def test_word_for_word(program, tmp_path):
    blocks = re.findall(r"^```(sh|text)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    commands = [text for kind, text in blocks if kind == "sh"]
    assert len(commands) == 9
    script = "set -e\nip link set lo up\n" + "".join(f"{text}echo '=== end {i}'\n" for i, text in enumerate(commands))
    script += "kill %1\nwait %1\ncat monitor.log\n"
    env = {**os.environ, "PATH": f"{os.path.dirname(program)}:{os.environ['PATH']}:/usr/sbin:/sbin",
           "PGSEAL_SHARE": str(ROOT / "dist")}
    # A network of its own: the page names ports.
    own = ["unshare", "--net", *([] if run.is_root() else ["--map-root-user"])]
    done = subprocess.run([*own, "bash", "-c", script], cwd=tmp_path, env=env, text=True, capture_output=True, timeout=120,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    printed = re.split(r"=== end \d+\n", done.stdout)
    at = -1
    for kind, text in blocks:
        if kind == "sh":
            at += 1
        else:
            assert like(printed[at], str(tmp_path)).endswith(like(text, str(tmp_path))), (commands[at], printed[at])
    assert "rehearsal" in printed[3] and "serving /metrics" in printed[-1]
