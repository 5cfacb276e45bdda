import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;

/** As pool.py, over HikariCP. */
public class Pools {
    static final AtomicInteger done = new AtomicInteger(), refused = new AtomicInteger();
    static final Queue<String> failed = new ConcurrentLinkedQueue<>();
    static volatile boolean over;

    static boolean insert(HikariDataSource pool, String number) throws InterruptedException {
        Connection c;
        try {
            c = pool.getConnection();
        } catch (SQLException e) {
            Thread.sleep(50);
            return false;
        }
        try (c; PreparedStatement s = c.prepareStatement("INSERT INTO drained VALUES (?)")) {
            s.setString(1, number);
            s.executeUpdate();
            return true;
        } catch (SQLException e) {
            if ("57P01".equals(e.getSQLState())) {
                refused.incrementAndGet();
                return false;
            }
            failed.add(e.getSQLState() + " " + e.getMessage().replace('"', '\''));
            return true;
        }
    }

    public static void main(String[] args) throws Exception {
        int size = Integer.parseInt(args[1]);
        HikariConfig how = new HikariConfig();
        how.setJdbcUrl("jdbc:postgresql://127.0.0.1:" + args[0] + "/app?sslmode=require&user=alice");
        how.setMaximumPoolSize(size);
        how.setConnectionTimeout(60000);
        HikariDataSource pool = new HikariDataSource(how);
        List<Connection> all = new ArrayList<>();
        for (int at = 0; at < size; at++)
            all.add(pool.getConnection());
        for (Connection c : all)
            c.close();
        CountDownLatch warm = new CountDownLatch(size);
        Thread[] threads = new Thread[size];
        for (int at = 0; at < size; at++) {
            String prefix = args[2] + "-" + at + "-";
            threads[at] = new Thread(() -> {
                try {
                    for (int i = 0; !over; i++) {
                        while (!insert(pool, prefix + i))
                            ;
                        done.incrementAndGet();
                        if (i == 0)
                            warm.countDown();
                        Thread.sleep(ThreadLocalRandom.current().nextInt(100));
                    }
                } catch (InterruptedException e) {
                    failed.add("interrupted");
                }
            });
            threads[at].start();
        }
        warm.await();
        System.out.println("ready");
        while (System.in.read() >= 0)
            ;
        over = true;
        for (Thread thread : threads)
            thread.join();
        pool.close();
        System.out.println("{\"done\": " + done + ", \"refused\": " + refused + ", \"failed\": [" +
                           (failed.isEmpty() ? "" : "\"" + String.join("\", \"", failed) + "\"") + "]}");
    }
}
