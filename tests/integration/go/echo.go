// Texts of many sizes go to the server and come back, over Go's own TLS. Arguments: address, user.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func message(kind string, body []byte) []byte {
	out := append([]byte(kind), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(out[len(kind):], uint32(len(body)+4))
	return append(out, body...)
}

// The body of the first message of a kind; what comes before it is dropped.
func await(in *bufio.Reader, kind byte) []byte {
	for {
		head := make([]byte, 5)
		_, err := io.ReadFull(in, head)
		check(err)
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		_, err = io.ReadFull(in, body)
		check(err)
		if head[0] == 'E' {
			fmt.Fprintf(os.Stderr, "%q\n", body)
			os.Exit(1)
		}
		if head[0] == kind {
			return body
		}
	}
}

func main() {
	plain, err := net.Dial("tcp", os.Args[1])
	check(err)
	_, err = plain.Write(message("", []byte{4, 210, 22, 47}))
	check(err)
	answer := make([]byte, 1)
	_, err = io.ReadFull(plain, answer)
	check(err)
	conn := tls.Client(plain, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	_, err = conn.Write(message("", []byte("\x00\x03\x00\x00user\x00"+os.Args[2]+"\x00database\x00app\x00\x00")))
	check(err)
	in := bufio.NewReader(conn)
	await(in, 'Z')
	count := 0
	for i := 0; i < 60; i++ {
		text := []byte(strings.Repeat("x", i*337*7%50000+1))
		_, err = conn.Write(message("Q", []byte("SELECT '"+string(text)+"'\x00")))
		check(err)
		row := await(in, 'D')
		if bytes.Equal(row[6:], text) {
			count++
		}
		await(in, 'Z')
	}
	_, err = conn.Write(message("X", nil))
	check(err)
	_, err = in.ReadByte()
	fmt.Printf("%s, %d echoes, then %v\n", tls.CipherSuiteName(conn.ConnectionState().CipherSuite), count, err)
}
