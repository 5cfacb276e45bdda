"""docs/start.md, word for word, as somebody who is not root."""

import os
import shutil
import tempfile

import pytest

from lib import howto, run


@pytest.mark.skipif(not run.is_root(), reason="a network of its own, for an account that is not root, takes root")
def test_start_here(program, debian, scratch):
    if not debian.bindir.startswith("/usr/lib/postgresql/"):
        pytest.skip("Debian's PostgreSQL is not installed")
    directory = tempfile.mkdtemp(dir=scratch)
    run.give_to_server(directory)
    as_somebody = " ".join(run.demoted(["bash", "-c"]))
    done = howto.follow("../start.md", program, directory, HOME=directory, LC_ALL="C.UTF-8",
                        around=("unshare", "--net", "bash", "-c", f'ip link set lo up && exec {as_somebody} "$0"'))
    assert len(done) > 10 and not os.path.exists(os.path.join(directory, "demo"))
    shutil.rmtree(directory)
