"""docs/howto/expiry-alert.md, word for word."""

from lib import howto, run


def test_word_for_word(program, tmp_path):
    # A network of its own: the page names ports.
    own = ["unshare", "--net", *([] if run.is_root() else ["--map-root-user"])]
    printed = howto.follow("expiry-alert.md", program, tmp_path, around=(*own, "bash", "-c"), before="ip link set lo up",
                           after="kill %1\nwait %1\ncat monitor.log\n")
    assert len(printed) == 10 and "rehearsal" in printed[3] and "serving /metrics" in printed[-1]
