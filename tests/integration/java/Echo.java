import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.util.Properties;

/** Texts of many sizes go to the server and come back. Arguments: URL, user. */
public class Echo {
    public static void main(String[] args) throws Exception {
        Properties how = new Properties();
        how.put("user", args[1]);
        int count = 0;
        try (Connection c = DriverManager.getConnection(args[0], how);
             PreparedStatement s = c.prepareStatement("SELECT ?::text")) {
            for (int i = 0; i < 60; i++) {
                String text = "x".repeat(i * 337 % 20000 + 1);
                s.setString(1, text);
                try (ResultSet r = s.executeQuery()) {
                    r.next();
                    if (r.getString(1).equals(text))
                        count++;
                }
            }
        }
        System.out.println(count + " echoes");
    }
}
