"""What the log must not say: it is read by more people than the files that hold passwords."""

from lib.liar import Scripted, error_response
from lib.wire import Conn


def test_a_rules_password_is_not_logged(make_gate):
    """Anybody can have himself refused; the line that did it is named by its number."""
    hba = ("host app all 127.0.0.1/32 ldap ldapserver=x ldapbasedn=y ldapbinddn=z ldapbindpasswd=tongue\n"
           "host db2 all 127.0.0.1/32 radius radiusservers=127.0.0.1 radiussecrets=tongue\n"
           "host all all 127.0.0.1/32 reject\n")
    with Scripted(lambda peer: (peer.packet(), peer.send(error_response("28000", "no")))) as server:
        g = make_gate(upstream=f"host=127.0.0.1 port={server.port} sslmode=disable", hba=hba,
                      settings={"auth_source": "upstream", "auth_file": None, "upstream_login": None})
        for line, database in enumerate(["app", "db2", "template1"], 1):
            with Conn(g) as c:
                assert c.login(database=database)[-2][1]["C"] == "28000"
            g.log.wait_for(f"event=refused .*rule_line={line}")
    assert "tongue" not in g.log.text() and 'rule="host all all 127.0.0.1/32 reject"' in g.log.text()


def test_a_conninfos_password_is_not_logged(make_gate):
    def conninfo(port):
        return f"host=127.0.0.1 port={port} sslmode=disable user=x sslpassword=tongue"

    g = make_gate(upstream=conninfo(1), hba="host all all 127.0.0.1/32 trust\n", settings={"upstream_login": "service"})
    g.upstream = conninfo(2)
    g.configure()
    assert 'parameter "upstream" changed' in g.reload()
    assert "tongue" not in g.log.text()
