package ds

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSeldom: of many warnings in a second one is logged, and the next one says how many were not.
func TestSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		log, s := slog.New(slog.NewTextHandler(&out, nil)), &seldom{}
		for range 100 {
			s.warn(log, "full", errors.New("no room"))
		}
		time.Sleep(time.Second)
		s.warn(log, "full", errors.New("no room"))
		if text := out.String(); strings.Count(text, "full") != 2 || !strings.Contains(text, "more=0") || !strings.Contains(text, "more=99") {
			t.Error(text)
		}
	})
}
