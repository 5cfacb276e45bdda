"""docs/howto/drain.md, word for word."""

import os
import shutil
import threading

import pytest

from lib import howto, run


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed: tools/deps.sh check")
def test_word_for_word(program, make_gate, tmp_path):
    gate = make_gate(start=False, hba="local all all trust\nhost app all 127.0.0.1/32 trust\n",
                     settings={"http_listen": "./http.sock"})
    gate.start()
    threading.Thread(target=gate.process.wait).start()      # the page waits for its end, of which a zombie is none
    os.symlink(gate.dir, tmp_path / "gate")
    howto.follow("drain.md", program, tmp_path, PGHOST="127.0.0.1", PGPORT=str(gate.port), PGUSER="alice",
                 PGDATABASE="app", PGSSLMODE="disable")
    assert gate.process.wait(run.PATIENCE) == 0
    gate.process = None
