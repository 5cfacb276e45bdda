import java.sql.Connection;
import java.sql.DriverManager;

/** Connects with each URL given, and prints in one line what the exception and its causes say. */
public class Messages {
    public static void main(String[] args) {
        for (String url : args) {
            try (Connection c = DriverManager.getConnection(url)) {
                System.out.println("connected");
            } catch (Exception e) {
                StringBuilder line = new StringBuilder();
                for (Throwable t = e; t != null; t = t.getCause())
                    line.append(t.getMessage()).append(" | ");
                System.out.println(line.toString().replace('\n', ' '));
            }
        }
    }
}
