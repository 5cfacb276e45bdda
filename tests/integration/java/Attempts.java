import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;

/** Connects with each URL given, one after the other, and says what came of it; without any, with each line of its input. */
public class Attempts {
    static void attempt(String url) {
        try (Connection c = DriverManager.getConnection(url)) {
            System.out.println("connected");
        } catch (SQLException e) {
            System.out.println("error " + e.getSQLState());
        }
    }

    public static void main(String[] args) {
        for (String url : args)
            attempt(url);
        if (args.length == 0)
            new BufferedReader(new InputStreamReader(System.in)).lines().forEach(Attempts::attempt);
    }
}
