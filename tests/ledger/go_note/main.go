// Signed notes and checkpoints by the Go package that they come from, to be set beside ours.
//
//	go_note open KEY...             reads a note, opens it, prints "<name> <key id>" of each verified
//	                                signature, an empty line and the text
//	go_note open-checkpoint KEY...  the same, and the text must begin with a checkpoint's three lines
//	go_note generate NAME           prints a signer key and its verifier key, a line each
//	go_note sign KEY_FILE           reads a text, prints its note; the file begins with a signer key
//	go_note countersign KEY_FILE KEY...  reads a note, opens it, prints it with one more signature
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

func main() {
	if len(os.Args) < 3 {
		fail(errors.New("usage: go_note COMMAND ARGUMENT..., see main.go"))
	}
	var err error
	switch os.Args[1] {
	case "open":
		err = open(os.Args[2:], false)
	case "open-checkpoint":
		err = open(os.Args[2:], true)
	case "generate":
		err = generate(os.Args[2])
	case "sign":
		err = sign(os.Args[2])
	case "countersign":
		err = countersign(os.Args[2], os.Args[3:])
	default:
		err = errors.New("no such command")
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "go_note:", err)
	os.Exit(1)
}

func openNote(keys []string) (*note.Note, error) {
	var verifiers []note.Verifier
	for _, key := range keys {
		verifier, err := note.NewVerifier(key)
		if err != nil {
			return nil, err
		}
		verifiers = append(verifiers, verifier)
	}
	message, err := io.ReadAll(os.Stdin)
	if err != nil {
		return nil, err
	}
	return note.Open(message, note.VerifierList(verifiers...))
}

func open(keys []string, asCheckpoint bool) error {
	opened, err := openNote(keys)
	if err != nil {
		return err
	}
	if asCheckpoint {
		if err := checkCheckpoint(opened.Text, opened.Sigs[0].Name); err != nil {
			return err
		}
	}
	for _, signature := range opened.Sigs {
		fmt.Printf("%s %08x\n", signature.Name, signature.Hash)
	}
	fmt.Printf("\n%s", opened.Text)
	return nil
}

// checkCheckpoint reads the three lines that C2SP tlog-checkpoint asks for; others may follow.
func checkCheckpoint(text, origin string) error {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 {
		return errors.New("fewer than three lines")
	}
	if lines[0] != origin {
		return fmt.Errorf("origin %q, signed by %q", lines[0], origin)
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return fmt.Errorf("no tree size: %q", lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != 32 {
		return fmt.Errorf("no root: %q", lines[2])
	}
	for _, line := range lines[3 : len(lines)-1] {
		if line == "" {
			return errors.New("an empty extension line")
		}
	}
	return nil
}

func generate(name string) error {
	signerKey, verifierKey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n%s\n", signerKey, verifierKey)
	return nil
}

func signerOf(keyFile string) (note.Signer, error) {
	content, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	line, _, _ := bytes.Cut(content, []byte("\n"))
	return note.NewSigner(string(line))
}

func printSigned(opened *note.Note, keyFile string) error {
	signer, err := signerOf(keyFile)
	if err != nil {
		return err
	}
	message, err := note.Sign(opened, signer)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(message)
	return err
}

func sign(keyFile string) error {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	return printSigned(&note.Note{Text: string(text)}, keyFile)
}

func countersign(keyFile string, keys []string) error {
	opened, err := openNote(keys)
	if err != nil {
		return err
	}
	return printSigned(opened, keyFile)
}
