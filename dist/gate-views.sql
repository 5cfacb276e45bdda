-- The gate's views on the upstream server, so that one query tells what a session does and how its client came.
--
--   psql -d app -v gate_host=gate.example -v gate_port=5432 -v gate_ca=/etc/ssl/gate-ca.crt \
--        -v gate_user=dba -v gate_password=… -f gate-views.sql
--
-- The user must be in the gate's stats_users or admin_users to see all rows. It makes the schema `gate` and, in it,
-- the view `activity`: pg_stat_activity of this server with the TLS facts of the client's own connection, by pid.
\set ON_ERROR_STOP on
\if :{?gate_port}
\else
\set gate_port 5432
\endif
\if :{?gate_sslmode}
\else
\set gate_sslmode verify-full
\endif
\if :{?gate_ca}
\else
\set gate_ca ''
\endif
\if :{?gate_password}
\else
\set gate_password ''
\endif
BEGIN;
CREATE EXTENSION IF NOT EXISTS postgres_fdw;
DROP SERVER IF EXISTS pgseal_gate CASCADE;
CREATE SERVER pgseal_gate FOREIGN DATA WRAPPER postgres_fdw
    OPTIONS (host :'gate_host', port :'gate_port', dbname 'pgseal', sslmode :'gate_sslmode', sslrootcert :'gate_ca');
CREATE USER MAPPING FOR CURRENT_USER SERVER pgseal_gate OPTIONS (user :'gate_user', password :'gate_password');
CREATE SCHEMA IF NOT EXISTS gate;
IMPORT FOREIGN SCHEMA public FROM SERVER pgseal_gate INTO gate;
CREATE VIEW gate.activity AS
    SELECT a.pid, a.datname, a.usename, a.application_name, a.state, a.query,
           p.client_addr, p.system_user, s.ssl, s.version, s.cipher, s.bits, s.client_dn
      FROM pg_catalog.pg_stat_activity a
      LEFT JOIN gate.pg_stat_ssl s USING (pid)
      LEFT JOIN gate.pgseal_sessions p USING (pid)
     WHERE a.backend_type = 'client backend';
COMMIT;
