<?php
// pg_send_query(), and the stream of the connection in select().
$db = pg_connect('');
$stream = pg_socket($db);
$results = 0;
foreach ([97, 4001, 7919] as $width) {
    for ($wanted = 1; $wanted <= 100; $wanted++, $results++) {
        pg_send_query($db, "SELECT repeat('x', $width) FROM generate_series(1, $wanted)");
        $rows = 0;
        do {
            while (pg_connection_busy($db)) {
                [$read, $write, $except] = [[$stream], [], []];
                stream_select($read, $write, $except, null);
                pg_consume_input($db);
            }
            $result = pg_get_result($db);
            $rows += $result ? pg_num_rows($result) : 0;
        } while ($result);
        if ($rows !== $wanted)
            exit("$rows rows instead of $wanted\n");
    }
}
echo "$results results\n";
