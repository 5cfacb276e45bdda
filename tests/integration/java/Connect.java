import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;

/** Connects with the URL given and prints one row: is TLS on, and whose certificate did the client show? */
public class Connect {
    public static void main(String[] args) throws Exception {
        String password = System.getenv("PGPASSWORD");
        String sql = "SELECT ssl::text || ' ' || coalesce(client_dn, '-') FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        try (Connection c = password == null ? DriverManager.getConnection(args[0])
                                             : DriverManager.getConnection(args[0] + "&password=" + password);
             ResultSet row = c.createStatement().executeQuery(sql)) {
            row.next();
            System.out.println(row.getString(1));
        }
    }
}
