package lease

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// QuestionHeader is where a guard that asks for the leases shows that it is that guard: a
// note in base64, signed with the key of the guard's own ledger, whose text is the line
// "airlock guard", the nonce and the guard's time of day. What is asked is no secret, so
// nothing but "somebody lives" depends on it.
const QuestionHeader = "Airlock-Guard"

const questionTitle = "airlock guard\n"

// SignQuestion signs a question that was asked at a time.
func SignQuestion(nonce string, at time.Time, key note.Signer) (string, error) {
	data, err := note.Sign(&note.Note{Text: questionTitle + nonce + "\n" + at.UTC().Format(time.RFC3339Nano) + "\n"}, key)
	if err != nil {
		return "", fmt.Errorf("the question for leases: %w", err)
	}
	return base64.StdEncoding.EncodeToString(data), nil
}

// OpenQuestion is the time of day at which the holder of key asked with nonce, by their
// clock.
func OpenQuestion(signed, nonce string, key note.Verifier) (time.Time, error) {
	data, err := base64.StdEncoding.DecodeString(signed)
	if err != nil {
		return time.Time{}, errors.New("the question for leases: its signature is no base64")
	}
	n, err := note.Open(data, note.VerifierList(key))
	if err != nil {
		return time.Time{}, fmt.Errorf("the question for leases is not signed by guard.key: %w", err)
	}
	rest, titled := strings.CutPrefix(n.Text, questionTitle)
	asked, day, _ := strings.Cut(rest, "\n")
	at, err := time.Parse(time.RFC3339Nano, strings.TrimSuffix(day, "\n"))
	if !titled || asked != nonce || err != nil {
		return time.Time{}, errors.New("the question for leases: something else is signed")
	}
	return at, nil
}
