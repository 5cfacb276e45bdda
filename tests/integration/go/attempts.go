// Connects with each URL given after the driver's name, pgx or pq, and prints what came of it.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v4"
	_ "github.com/lib/pq"
)

func attempt(ctx context.Context, driver string, url string) error {
	if driver == "pgx" {
		conn, err := pgx.Connect(ctx, url)
		if err == nil {
			err = conn.Close(ctx)
		}
		return err
	}
	db, err := sql.Open("postgres", url)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.PingContext(ctx)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for _, url := range os.Args[2:] {
		if err := attempt(ctx, os.Args[1], url); err != nil {
			fmt.Printf("error %q\n", err.Error())
		} else {
			fmt.Println("connected")
		}
	}
}
