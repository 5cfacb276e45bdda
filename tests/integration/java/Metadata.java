import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

/**
 * What tools ask pgJDBC for before they show anything, and how statements end. Every line is one answer.
 * Arguments: URL, user, password.
 */
public class Metadata {
    private interface Question {
        ResultSet ask() throws SQLException;
    }

    /** How many rows, or why not. */
    private static void count(String what, Question question) {
        try (ResultSet r = question.ask()) {
            int n = 0;
            while (r.next())
                n++;
            System.out.println(what + " " + n);
        } catch (SQLException e) {
            System.out.println(what + " " + e.getSQLState() + " " + e.getMessage().split("\n")[0]);
        }
    }

    private static void metadata(Connection c) throws SQLException {
        DatabaseMetaData m = c.getMetaData();
        System.out.println(m.getDatabaseProductName() + " " + m.getDatabaseMajorVersion());
        count("getCatalogs", m::getCatalogs);
        count("getSchemas", m::getSchemas);
        count("getTableTypes", () -> m.getTableTypes());
        count("getTables", () -> m.getTables(null, "public", "pgseal%", new String[] { "VIEW" }));
        count("getTables TABLE", () -> m.getTables(null, null, "%", new String[] { "TABLE" }));
        count("getColumns", () -> m.getColumns(null, "public", "pgseal_rules", "%"));
        count("getPrimaryKeys", () -> m.getPrimaryKeys(null, "public", "pgseal_rules"));
        count("getImportedKeys", () -> m.getImportedKeys(null, "public", "pgseal_rules"));
        count("getIndexInfo", () -> m.getIndexInfo(null, "public", "pgseal_rules", false, false));
        count("getBestRowIdentifier", () -> m.getBestRowIdentifier(null, "public", "pgseal_rules", 0, true));
        count("getTablePrivileges", () -> m.getTablePrivileges(null, "public", "pgseal_rules"));
        count("getColumnPrivileges", () -> m.getColumnPrivileges(null, "public", "pgseal_rules", "%"));
        count("getTypeInfo", m::getTypeInfo);
        count("getUDTs", () -> m.getUDTs(null, null, "%", null));
        count("getFunctions", () -> m.getFunctions(null, null, "pg_reload_conf"));
        count("getProcedures", () -> m.getProcedures(null, null, "%"));
        System.out.println("getSQLKeywords " + (m.getSQLKeywords().length() > 0));
        System.out.println("isReadOnly " + c.isReadOnly() + " " + c.getSchema() + " " + c.getCatalog());
    }

    private static void types(Connection c) throws SQLException {
        try (Statement s = c.createStatement();
             ResultSet r = s.executeQuery("SELECT pid, ssl, version, client_serial, backend_start, client_addr "
                                          + "FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                                          + "WHERE pid = pg_backend_pid()")) {
            StringBuilder line = new StringBuilder("types");
            for (int i = 1; i <= r.getMetaData().getColumnCount(); i++)
                line.append(" ").append(r.getMetaData().getColumnTypeName(i));
            System.out.println(line);
            r.next();
            System.out.println("tls " + r.getBoolean("ssl") + " " + r.getString("version") + " "
                               + (r.getTimestamp("backend_start") != null));
        }
    }

    private static void fetches(Connection c) throws SQLException {
        c.setAutoCommit(false);
        try (PreparedStatement s = c.prepareStatement("SELECT n FROM generate_series(1, ?) AS g(n)")) {
            s.setFetchSize(100);
            s.setInt(1, 1000);
            long sum = 0;
            try (ResultSet r = s.executeQuery()) {
                while (r.next())
                    sum += r.getLong(1);
            }
            System.out.println("fetched " + sum);
        }
        c.commit();
        c.setAutoCommit(true);
    }

    /** The driver sends a cancel request of its own. */
    private static void timesOut(Connection c) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.setQueryTimeout(1);
            s.executeQuery("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b");
        } catch (SQLException e) {
            System.out.println("timeout " + e.getSQLState() + " " + e.getMessage());
        }
        System.out.println("valid " + c.isValid(5));
    }

    public static void main(String[] args) throws SQLException {
        Properties how = new Properties();
        how.put("user", args[1]);
        how.put("password", args[2]);
        try (Connection c = DriverManager.getConnection(args[0], how)) {
            metadata(c);
            types(c);
            fetches(c);
            timesOut(c);
        }
    }
}
