"""The pages of docs/howto/ about hosts and identities, word for word."""

from lib import howto, run


def test_several_hosts(program, tmp_path):
    howto.follow("several-hosts.md", program, tmp_path, PORT=str(run.free_port()))


def test_spiffe(program, tmp_path):
    howto.follow("spiffe.md", program, tmp_path)
