"""The command line itself: help, versions, mistakes, and answers that cannot be written."""

import os
import re
import subprocess

import pytest


def pgseal(program, *arguments, **more):
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20, check=False, **more)


@pytest.fixture(scope="module")
def commands(program):
    text = pgseal(program, "--help").stdout
    found = re.findall(r"^  (\w+) ", text.split("Commands:")[1].split("\n\n")[0], re.M)
    assert "serve" in found and "init" in found
    return found


def test_version(program):
    done = pgseal(program, "--version")
    assert done.returncode == 0
    assert re.fullmatch(r"pgseal \d+\.\d+\.\d+ \(OpenSSL .*\)\n", done.stdout)


def test_no_command_is_a_mistake(program):
    done = pgseal(program)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage:" in done.stderr


def test_every_command_has_help_with_examples(program, commands):
    for command in commands:
        for option in ("--help", "-h"):
            done = pgseal(program, command, option)
            assert (done.returncode, done.stderr) == (0, ""), command
            assert "Usage:" in done.stdout and "Examples:" in done.stdout, command
            assert all(len(line) < 100 for line in done.stdout.splitlines()), command
            for common in ("--verbose", "--help"):
                assert common in done.stdout, command
            assert pgseal(program, "help", command).stdout == done.stdout


def verbs_of(program, command):
    text = pgseal(program, command, "--help").stdout
    if "\nVerbs:\n" not in text:
        return []
    return re.findall(r"^  (\w+)", text.split("\nVerbs:\n")[1].split("\n\n")[0], re.M)


def options_in(text):
    return set(re.findall(r"^ {2,6}(?:-\w, )?--([\w-]+)", text, re.M))


def test_a_verb_shows_its_own_options(program, commands):
    for command in commands:
        verbs = verbs_of(program, command)
        texts = [pgseal(program, command, verb, "--help").stdout for verb in verbs]
        for verb, text in zip(verbs, texts, strict=True):
            assert text.startswith(f"pgseal {command} {verb} - ") and f"pgseal {command} {verb} [OPTION]..." in text
            assert text == pgseal(program, "help", command, verb).stdout
            assert text == pgseal(program, command, "--help", verb).stdout
        if verbs:
            assert set().union(*map(options_in, texts)) == options_in(pgseal(program, command, "--help").stdout)
    assert "host" in options_in(pgseal(program, "cert", "issue", "--help").stdout)
    assert "host" not in options_in(pgseal(program, "cert", "show", "--help").stdout)
    assert pgseal(program, "help").stdout == pgseal(program, "--help").stdout


def test_what_help_does_not_list_is_refused(program, commands):
    """--json and --color mean the same wherever they are taken; an option of another verb is no option."""
    for command in commands:
        if command == "psql":   # its other options are psql's
            continue
        for verb in verbs_of(program, command) or [None]:
            words = [command] + ([verb] if verb else [])
            taken = options_in(pgseal(program, *words, "--help").stdout)
            others = {"json", "color"} | options_in(pgseal(program, command, "--help").stdout)
            for option in others - taken:
                done = pgseal(program, *words, f"--{option}" + ("=auto" if option == "color" else ""),
                              *(["1"] if re.search(rf"--{option}=", pgseal(program, command, "--help").stdout) else []))
                assert (done.returncode, done.stdout) == (2, ""), (words, option)
                assert f"does not take --{option}" in done.stderr, (words, option, done.stderr)


def test_help_of_what_there_is_not(program):
    for words, said in [(["explian"], 'did you mean "explain"'), (["cert", "isue"], 'no verb "isue"'),
                        (["cert", "issue", "x"], "at most one of its verbs")]:
        done = pgseal(program, "help", *words)
        assert (done.returncode, done.stdout) == (2, "") and said in done.stderr


@pytest.mark.parametrize("words", [["hba", "{hba}"], ["ident", "{ident}"],
                                   ["explain", "--hba", "{good}", "addr=::1", "tls=none", "user=u"],
                                   ["explain", "--hba", "{good}", "local", "user=u"],
                                   ["cert", "verify", "--root", "{root}", "--host", "h", "{root}"],
                                   ["probe", "-q", "-t", "1", "127.0.0.1:1"]])
def test_colours(program, tmp_path, words):
    """Verdicts have a colour when it is asked for, and nothing but colours is added; JSON has none."""
    files = {"hba": "nonsense\n", "ident": "m a\n", "good": "local all all trust\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    subprocess.run([program, "ca", "init", tmp_path / "ca"], check=True, capture_output=True)
    paths = {name: str(tmp_path / name) for name in files} | {"root": str(tmp_path / "ca" / "ca.crt")}
    words = [w.format(**paths) for w in words]
    plain, coloured = (pgseal(program, *words, f"--color={when}").stdout for when in ("never", "always"))
    assert "\033[3" in coloured and re.sub(r"\033\[\d+m", "", coloured) == plain and plain
    assert pgseal(program, *words).stdout == plain
    assert "\033" not in pgseal(program, *words, "--json", "--color=always").stdout


def test_mistakes_name_the_nearest_word(program):
    for arguments, words in [
        (["sevre"], 'did you mean "serve"?'),
        (["serve", "--chekc"], "did you mean --check?"),
        (["serve", "-D"], "option -D needs a value"),
        (["serve", "--check=1"], "option --check takes no value"),
        (["serve", "-q"], "unknown option -q"),
        (["hba", "--color=blue"], "--color takes auto, always or never"),
        (["ca", "shwo"], 'did you mean "show"?'),
        (["ca"], "a verb is missing"),
        (["no-such-command"], "unknown command"),
    ]:
        done = pgseal(program, *arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert words in done.stderr, arguments
        assert "--help" in done.stderr


def test_an_answer_that_cannot_be_written(program):
    with open("/dev/full", "w", encoding="utf-8") as full:
        for arguments in (["--help"], ["--version"], ["serve", "--help"]):
            done = subprocess.run([program, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=20,
                                  check=False)
            assert done.returncode == 3, arguments
            assert "could not write the output" in done.stderr


def test_psql_is_given_the_gates_address(program, tmp_path):
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "psql"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o755)
    (tmp_path / "gate").mkdir()
    conf = tmp_path / "gate" / "pgseal.conf"
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}

    def asked(*arguments):
        done = pgseal(program, "psql", "-D", str(tmp_path / "gate"), *arguments, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def passed_on(*arguments):
        done = pgseal(program, "psql", *arguments, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[2:]

    conf.write_text("unix_socket_directories = 'it''s'\nport = 6000\nstatus_database = 'a b'\n")
    assert asked("-c", "SELECT 1") == [
        "-d", f"host='{tmp_path}/gate/it\\'s' port=6000 dbname='a b'", "-c", "SELECT 1"]
    where, directory = ["-D", str(tmp_path / "gate")], f"--directory={tmp_path}/gate"
    assert passed_on("-XAtc", "-D", *where, "-v", "x=1", "-hsocket") == ["-XAtc", "-D", "-v", "x=1", "-hsocket"]
    assert passed_on("--command", "--help", directory, "--csv", "db") == ["--command", "--help", "--csv", "db"]
    assert passed_on("--file=x", "--directory", where[1], "--", "-D", "-v") == ["--file=x", "-D", "-v"]
    assert passed_on(f"-D{where[1]}", "--", "--", "--help") == ["--", "--help"]
    assert passed_on("-c", "--", *where) == ["-c", "--"]
    for arguments in (["-c", "x", "-D"], ["--directory"], ["-c", "x"], ["-c", *where]):
        done = pgseal(program, "psql", *arguments, env=environment)
        assert (done.returncode, done.stdout) == (2, ""), arguments
    conf.write_text("unix_socket_directories = ''\nlisten_addresses = '*'\nssl = on\n")
    assert asked()[1] == "host='localhost' sslmode='require' port=5432 dbname='pgseal'"
    (tmp_path / "gate" / "tls").mkdir()
    (tmp_path / "gate" / "tls" / "ca.crt").write_text("x")
    assert f"sslmode='verify-full' sslrootcert='{tmp_path}/gate/tls/ca.crt'" in asked()[1]
    conf.write_text("unix_socket_directories = ''\nlisten_addresses = ''\n")
    assert pgseal(program, "psql", "-D", str(tmp_path / "gate"), env=environment).returncode == 1
    conf.write_text("nonsense = 1\nmore nonsense here\n")
    done = pgseal(program, "psql", "-D", str(tmp_path / "gate"), env=environment)
    assert done.returncode == 1
    assert "unrecognized configuration parameter" in done.stderr and "syntax error" in done.stderr
