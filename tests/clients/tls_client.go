// Go's own HTTP client against a server with TLS:
//
//	tls_client URL FOLDER VERSION NAME
//
// It posts batches of events on two kept connections, and on new ones, until its input ends.
// FOLDER has ca.pem, client.pem and client.key, and gets NAME.acks: the number of the first
// event of each batch that was acknowledged, and of how many. VERSION is 1.2 or 1.3. It
// prints sent=... acked=... failed=... resumed=..., and each failure. The client offers HTTP/2
// first, as it does by default.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const events = 10

var over int32

type sender struct {
	url, name    string
	number       int
	version      uint16
	client       *http.Client
	acks         []int
	failures     []string
	sent, reused int
}

func (s *sender) send(first int) error {
	var body bytes.Buffer
	for i := 0; i < events; i++ {
		lead := ","
		if i == 0 {
			lead = "["
		}
		fmt.Fprintf(&body, `%s{"client":"%s","n":%d}`, lead, s.name, first+i)
	}
	body.WriteString("]")
	a, err := s.client.Post(s.url, "application/json", &body)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	if a.StatusCode != 202 || a.Proto != "HTTP/1.1" || a.TLS.Version != s.version {
		return fmt.Errorf("%d by %s, TLS %x: %s", a.StatusCode, a.Proto, a.TLS.Version, text)
	}
	if a.TLS.DidResume {
		s.reused++
	}
	return nil
}

func (s *sender) run() {
	for ; atomic.LoadInt32(&over) == 0; s.sent++ {
		first := (s.number*100000 + s.sent) * events
		if err := s.send(first); err != nil {
			s.failures = append(s.failures, err.Error())
			continue
		}
		s.acks = append(s.acks, first)
		time.Sleep(20 * time.Millisecond)
	}
}

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	url, folder, version, name := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	ca, err := os.ReadFile(folder + "/ca.pem")
	must(err)
	own, err := tls.LoadX509KeyPair(folder+"/client.pem", folder+"/client.key")
	must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	number := uint16(tls.VersionTLS12)
	if version == "1.3" {
		number = tls.VersionTLS13
	}
	sessions := tls.NewLRUClientSessionCache(0)
	var all []*sender
	var wait sync.WaitGroup
	for i := 0; i < 3; i++ {
		s := &sender{url: url, name: name, number: i, version: number}
		s.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
			ForceAttemptHTTP2: true, DisableKeepAlives: i == 2,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: number,
				MaxVersion: number, ClientSessionCache: sessions,
				Certificates: []tls.Certificate{own}}}}
		all = append(all, s)
		wait.Add(1)
		go func() {
			s.run()
			wait.Done()
		}()
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	atomic.StoreInt32(&over, 1)
	wait.Wait()

	file, err := os.Create(folder + "/" + name + ".acks")
	must(err)
	out := bufio.NewWriter(file)
	sent, acked, failed, resumed := 0, 0, 0, 0
	for _, s := range all {
		for _, first := range s.acks {
			fmt.Fprintln(out, first, events)
		}
		for _, why := range s.failures {
			fmt.Println("failure:", why)
		}
		sent += s.sent
		acked += len(s.acks)
		failed += len(s.failures)
		resumed += s.reused
	}
	must(out.Flush())
	must(file.Close())
	fmt.Printf("sent=%d acked=%d failed=%d resumed=%d\n", sent, acked, failed, resumed)
}
