import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.Properties;

/** One session of pgJDBC with the status database; every line is one answer. Arguments: URL, user. */
public class Session {
    private static void show(ResultSet r) throws SQLException {
        while (r.next()) {
            StringBuilder line = new StringBuilder();
            for (int i = 1; i <= r.getMetaData().getColumnCount(); i++) {
                Object value = r.getObject(i);
                if (value instanceof java.sql.Array)
                    value = Arrays.toString((Object[]) ((java.sql.Array) value).getArray());
                line.append(i > 1 ? "|" : "").append(value);
            }
            System.out.println(line);
        }
    }

    public static void main(String[] args) throws SQLException {
        Properties how = new Properties();
        how.put("user", args[1]);
        how.put("sslmode", "disable");
        try (Connection c = DriverManager.getConnection(args[0], how)) {
            System.out.println("valid " + c.isValid(5));
            show(c.createStatement().executeQuery("SELECT pid, ssl, version, client_serial FROM pg_stat_ssl"));
            PreparedStatement s = c.prepareStatement(
                "SELECT pid, usename, client_addr, query_id FROM pg_stat_activity WHERE pid = ? AND usename = ?");
            for (int i = 0; i < 7; i++) { // the fifth is the first that asks for binary
                s.setInt(1, 4711);
                s.setString(2, "alice");
                ResultSet r = s.executeQuery();
                if (i == 6)
                    show(r);
            }
            show(c.createStatement().executeQuery("SELECT database, options FROM pg_hba_file_rules"));
            c.setAutoCommit(false);
            Statement few = c.createStatement();
            few.setFetchSize(1);
            show(few.executeQuery("SELECT pid FROM pg_stat_ssl"));
            try {
                c.createStatement().executeQuery("SELECT nope");
            } catch (SQLException e) {
                System.out.println("error " + e.getSQLState());
            }
            c.rollback();
            c.setAutoCommit(true);
            show(c.getMetaData().getTables(null, "public", "pgseal_rules", null));
            ResultSet columns = c.getMetaData().getColumns(null, "pg_catalog", "pg_stat_ssl", "%");
            while (columns.next())
                System.out.println(columns.getString("COLUMN_NAME") + " " + columns.getString("TYPE_NAME"));
        }
    }
}
