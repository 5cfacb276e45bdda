"""docs/howto/expiry-alert.md, word for word."""

import re

from lib import howto, run


def test_word_for_word(program, tmp_path):
    # A network of its own: the page names ports.
    own = ["unshare", "--net", *([] if run.is_root() else ["--map-root-user"])]
    printed = howto.follow("expiry-alert.md", program, tmp_path, around=(*own, "bash", "-c"), before="ip link set lo up",
                           after="kill %1\nwait %1\ncat monitor.log\n")
    assert len(printed) == 10 and "rehearsal" in printed[3] and "serving /metrics" in printed[-1]


def test_monitoring_and_alerts(program, tmp_path):
    own = ["unshare", "--net", *([] if run.is_root() else ["--map-root-user"])]
    start = (f"ip link set lo up\n{program} init gate --host localhost --listen 127.0.0.1 > /dev/null\n{program} serve -D gate > gate.log 2>&1 &\n"
             "until grep -q 'ready to accept' gate.log; do sleep 0.1; done\n")
    printed = howto.follow("monitoring.md", program, tmp_path, around=(*own, "bash", "-c"), before=start, after="kill %%\nwait\n")
    assert printed[1].strip() == "17"
    page = (howto.ROOT / "docs/howto/monitoring.md").read_text(encoding="utf-8")
    rules = (howto.ROOT / "dist/prometheus/pgseal.rules.yml").read_text(encoding="utf-8")
    for alert in re.findall(r"alert: (\w+)", rules):
        assert f"`{alert}`" in page or f"`…{alert.removeprefix('PgsealCertificate')}`" in page, alert
