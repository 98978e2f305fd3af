package load

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestTrials: each run of the lists can be run, at any scale, and every kind is in the short one.
func TestTrials(t *testing.T) {
	for name, trials := range map[string][]Trial{"short": Short(1), "short, tiny": Short(0.01), "growth": Growth(1), "growth, tiny": Growth(0.01)} {
		kinds := make(map[string]bool)
		for i, trial := range trials {
			c := trial.Config
			if !c.Bare {
				c.Daemon = "program"
			}
			kinds[c.Scenario] = true
			if err := c.check(); err != nil {
				t.Errorf("%s, %s: %v", name, trial.Name, err)
			}
			if check := scenarios[c.Scenario].check; check != nil {
				if err := check(&c); err != nil {
					t.Errorf("%s, %s: %v", name, trial.Name, err)
				}
			}
			if (trial.Half || trial.Same || trial.Next) && (i == 0 || trials[i-1].Config.Scenario != c.Scenario) {
				t.Errorf("%s, %s: comes after another kind", name, trial.Name)
			}
		}
		for kind, s := range scenarios {
			if strings.HasPrefix(name, "short") && !kinds[kind] && s.about != "" { // other tests have some without
				t.Errorf("%s: %s is missing", name, kind)
			}
		}
	}
}

func TestRow(t *testing.T) {
	r := &Result{
		Config: Config{Scenario: "fanout"}, DeliveredPS: 1234.6, CPUMicros: 3.456, Stages: map[string]Summary{"received": {P50: 1.2345, P99: 22.22}},
		Values: map[string]float64{"copies_per_message": 1, "unknown": 5},
	}
	if got, want := r.Row("f"), "| f | 1235 | 3.46 | 1.23 | 22.2 | 1 copies stored | correct |\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	r.Violations = 2
	if got := r.Row("f"); !strings.Contains(got, "NOT CORRECT: 2") {
		t.Errorf("%q", got)
	}
	r.Violations, r.Aborted = 0, "gone\nand more"
	if got := r.Row("f"); !strings.HasSuffix(got, "| NOT FINISHED: gone |\n") {
		t.Errorf("%q", got)
	}
}

// TestHalfOfNothing: a run at half of a rate of nothing is not begun as a closed loop.
func TestHalfOfNothing(t *testing.T) {
	c := pretendConfig()
	err := Perform(t.Context(), []Trial{{Name: "half", Config: c, Half: true}}, "program", "test", nil, func(Trial, *Result) { t.Error("it ran") })
	if err == nil || !strings.Contains(err.Error(), "reached nothing") {
		t.Error(err)
	}
}

// TestHalfOfBroken: nor at half of what a run reached that broke off.
func TestHalfOfBroken(t *testing.T) {
	register("broken", &scenario{main: Received, run: func(ctx context.Context, r *run) error {
		if err := r.begin(ctx); err != nil {
			return err
		}
		_ = until(ctx, r.from.Load())
		r.count(now(), &r.delivered)
		return errors.New("broken off")
	}})
	defer delete(scenarios, "broken")
	c := pretendConfig()
	c.Scenario, c.Addr = "broken", ""
	program, _ := pretendDaemon(t)
	var ran []string
	err := Perform(t.Context(), []Trial{{Name: "one", Config: c}, {Name: "half", Config: c, Half: true}, {Name: "same", Config: c, Same: true}}, program, "test", nil, func(tr Trial, r *Result) {
		if ran = append(ran, tr.Name); r.DeliveredPS == 0 {
			t.Error("nothing was delivered")
		}
	})
	if len(ran) != 1 || err == nil || !strings.Contains(err.Error(), "half: the one before") || !strings.Contains(err.Error(), "same: the one before") {
		t.Error(ran, err)
	}
}
