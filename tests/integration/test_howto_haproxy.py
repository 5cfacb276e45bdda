"""docs/howto/haproxy.md, word for word."""

import os
import shutil

import pytest

from lib import howto, run


@pytest.mark.skipif(not shutil.which("haproxy"), reason="haproxy is not installed: tools/deps.sh check")
def test_word_for_word(program, make_gate, certs, tmp_path):
    # A network of its own: the page names ports.
    own = ["unshare", "--net", *([] if run.is_root() else ["--map-root-user"])]
    for name in ("one", "two"):
        gate = make_gate(start=False, hba="local all all trust\nhostssl app alice 127.0.0.1/32 trust\n",
                         tls={"cert": certs.server})
        os.symlink(gate.dir, tmp_path / name)
    howto.follow("haproxy.md", program, tmp_path, around=(*own, "bash", "-c"),
                 before="ip link set lo up\ntrap 'kill $(jobs -p); wait' EXIT", PGHOST="127.0.0.1", PGUSER="alice",
                 PGDATABASE="app", PGSSLMODE="require")
