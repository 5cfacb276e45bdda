"""Completion in bash, zsh and fish: commands, verbs, their options, words; files where files go."""

import os
import pathlib
import pty
import select
import shutil
import subprocess

import pytest

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"

# What is typed, and what it becomes, or what is offered.
CASES = [
    ("pgseal exp", {"explain"}),
    ("pgseal help expl", {"explain"}),
    ("pgseal cert ver", {"verify"}),
    ("pgseal ca ", {"init", "show", "crl", "rollover"}),
    ("pgseal cert verify --key-f", {"--key-file"}),
    ("pgseal cert issue --key-f", set()),
    ("pgseal cert issue --pass", {"--passphrase", "--passphrase-file", "--passphrase-command"}),
    ("pgseal cert list --col", set()),
    ("pgseal serve --js", set()),
    ("pgseal hba --js", {"--json"}),
    ("pgseal cert issue --for jd", {"jdbc"}),
    ("pgseal probe --color al", {"always"}),
    ("pgseal hba ru", {"rules.conf", "rules.d/"}),
    ("pgseal explain --hba ru", {"rules.conf", "rules.d/"}),
    ("pgseal cert show ru", {"rules.conf", "rules.d/"}),
    ("pgseal serve -D ru", {"rules.d/"}),
    ("pgseal ca init ru", {"rules.d/"}),
    ("pgseal cert verify --ca ru", {"rules.d/"}),
    ("pgseal cert issue ru", set()),
    ("pgseal init --host ru", set()),
]


@pytest.fixture(scope="module", name="directory")
def fixture_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("completion")
    (directory / "rules.conf").touch()
    (directory / "rules.d").mkdir()
    return directory


def needs(shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")


def test_bash(directory):
    script = [f"source {DOCS}/completion.bash"]
    for typed, _ in CASES:
        words = typed.split(" ")
        script += ["COMP_WORDS=(%s)" % " ".join(f"'{w}'" for w in words), f"COMP_CWORD={len(words) - 1}",
                   "_pgseal 2>/dev/null", "for x in \"${COMPREPLY[@]}\"; do [ -d \"$x\" ] && x=$x/; printf '%s ' \"$x\"; done; echo"]
    done = subprocess.run(["bash", "-c", "\n".join(script)], cwd=directory, capture_output=True, text=True, check=True)
    for (typed, expected), line in zip(CASES, done.stdout.splitlines(), strict=True):
        assert set(line.split()) == expected, typed


def test_bash_behind_an_equals_sign(directory):
    """bash cuts a word there."""
    for words in ["'--hba' '='", "'--hba' '=' 'ru'"]:
        done = subprocess.run(["bash", "-c", f"source {DOCS}/completion.bash; COMP_WORDS=('pgseal' 'explain' {words});"
                               "COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _pgseal 2>/dev/null; echo \"${COMPREPLY[@]}\""],
                              cwd=directory, capture_output=True, text=True, check=True)
        assert set(done.stdout.split()) == {"rules.conf", "rules.d"}


def test_fish(directory):
    needs("fish")
    for typed, expected in CASES:
        done = subprocess.run(["fish", "--no-config", "-c", f"source {DOCS}/completion.fish; complete -C '{typed}'"],
                              cwd=directory, env={**os.environ, "HOME": str(directory)}, capture_output=True, text=True,
                              check=True)
        offered = {line.split("\t")[0] for line in done.stdout.splitlines()}
        begun = "" if typed.endswith(" ") else typed.split()[-1]    # fish 4 offers what has it inside, too
        assert {word for word in offered if word.startswith(begun)} == expected, typed


class Zsh:
    """An interactive zsh on a terminal of its own."""

    def __init__(self, directory):
        (directory / "functions").mkdir()
        shutil.copy(DOCS / "completion.zsh", directory / "functions" / "_pgseal")
        pid, self.terminal = pty.fork()
        if pid == 0:
            os.chdir(directory)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "HOME": str(directory), "TERM": "dumb"})
        self.pid = pid
        self.say(f"fpath=({directory}/functions $fpath); autoload -U compinit; compinit -u -D; setopt no_beep no_always_last_prompt\n"
                 "echo star''ted\n")
        self.until("started")

    def say(self, text):
        os.write(self.terminal, text.encode())

    def until(self, mark):
        seen = ""
        while mark not in seen:
            ready, _, _ = select.select([self.terminal], [], [], 20)
            assert ready, f"zsh does not say {mark}: {seen}"
            seen += os.read(self.terminal, 4096).decode(errors="replace")
        return seen

    def complete(self, typed):
        """The line after a tab; it is printed by the shell itself, with a mark at its end."""
        self.say(f"{typed}\t\x01print -r -- 'LINE<\x05>EN''D'\n")
        return self.until(">END").split("LINE<")[-1].split(">END")[0]

    def close(self):
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


def test_zsh(directory):
    needs("zsh")
    zsh = Zsh(directory)
    try:
        for typed, expected in CASES:
            if len(expected) < 2:
                word = typed.split(" ")[-1]
                line = zsh.complete(typed)
                wanted = typed[:len(typed) - len(word)] + (expected.copy().pop() if expected else word)
                assert line.rstrip(" =/") == wanted.rstrip("/"), typed
        for typed in "pgseal hba rules.c", "pgseal explain --hba=rules.c", "pgseal cert show rules.c":
            assert zsh.complete(typed).rstrip() == typed + "onf"
    finally:
        zsh.close()
