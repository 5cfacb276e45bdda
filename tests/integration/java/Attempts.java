import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;

/** Connects with each URL given, one after the other, and says what came of it. */
public class Attempts {
    public static void main(String[] args) {
        for (String url : args) {
            try (Connection c = DriverManager.getConnection(url)) {
                System.out.println("connected");
            } catch (SQLException e) {
                System.out.println("error " + e.getSQLState());
            }
        }
    }
}
