package timing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func usual() Design {
	return Design{Length: 20 * time.Minute, Opens: 8, Gap: 45 * time.Second, Window: 30 * time.Second}
}

func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, 7)) }

// background is traffic that knows nothing of the schedule: by chance, with
// about every seconds between two events, and of very different sizes.
func background(r *rand.Rand, d Design, every time.Duration) (out []Event) {
	for at := time.Duration(0); at < d.Length+d.Window; {
		at += time.Duration(r.ExpFloat64() * float64(every))
		out = append(out, Event{at, int64(math.Exp(r.NormFloat64()*2 + 6))})
	}
	return out
}

// periodic reports every so often, as many SDKs do.
func periodic(r *rand.Rand, d Design, every time.Duration) (out []Event) {
	for at := time.Duration(r.Int64N(int64(every))); at < d.Length+d.Window; at += every {
		out = append(out, Event{at, 900})
	}
	return out
}

// late is a person: two to twelve seconds behind what is announced.
func late(r *rand.Rand, drawn []time.Duration) []time.Duration {
	out := slices.Clone(drawn)
	for i := range out {
		out[i] += 2*time.Second + time.Duration(r.Int64N(int64(10*time.Second)))
	}
	return out
}

func TestDraw(t *testing.T) {
	d, r := usual(), seeded(1)
	var mean float64
	for range 2000 {
		s := d.Draw(r)
		for i, at := range s {
			if at < 0 || at+d.Window > d.Length || i > 0 && at-s[i-1] < d.Gap {
				t.Fatalf("schedule %v", s)
			}
			mean += at.Seconds() / 2000 / float64(len(s))
		}
	}
	if want := (d.Length - d.Window).Seconds() / 2; math.Abs(mean-want) > 10 {
		t.Errorf("moments lie at %.0f s on average, want %.0f", mean, want)
	}
}

// TestCalibrated: without a connection the p-values are what they say. For
// dense traffic they are uniform (Kolmogorov-Smirnov); for rare or regular
// traffic many schedules fit alike, and small p-values may only be rarer.
func TestCalibrated(t *testing.T) {
	const runs, rounds = 400, 400
	d := usual()
	for name, make := range map[string]func(*rand.Rand) []Event{
		"dense":    func(r *rand.Rand) []Event { return background(r, d, 8*time.Second) },
		"rare":     func(r *rand.Rand) []Event { return background(r, d, 4*time.Minute) },
		"periodic": func(r *rand.Rand) []Event { return periodic(r, d, 60*time.Second) },
		"burst": func(r *rand.Rand) []Event { // all at once, somewhere
			at := time.Duration(r.Int64N(int64(d.Length)))
			return slices.Repeat([]Event{{at, 5000}}, 30)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ps []float64
			for run := range uint64(runs) {
				r := seeded(run + 100)
				drawn := d.Draw(r)
				found, err := Test(d, drawn, late(r, drawn), map[string][]Event{"x": make(r)}, rounds, r)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range found {
					ps = append(ps, f.P)
				}
			}
			slices.Sort(ps)
			// Both ways of being wrong are bounded by the 99.9 % point of the
			// statistic, 1.95/sqrt(n).
			bound, above, below := 1.95/math.Sqrt(float64(len(ps))), 0.0, 0.0
			for i, p := range ps {
				above = max(above, float64(i+1)/float64(len(ps))-p)
				below = max(below, p-float64(i)/float64(len(ps)))
			}
			t.Logf("%d p-values: D+ %.3f, D- %.3f, bound %.3f", len(ps), above, below, bound)
			if above > bound {
				t.Errorf("small p-values are too frequent: D+ %.3f", above)
			}
			if name == "dense" && below > bound {
				t.Errorf("not uniform: D- %.3f", below)
			}
		})
	}
}

// TestFalseAlarms: of many experiments over thirty destinations that follow
// nothing, about one in twenty may show a corrected p-value of 5 %.
func TestFalseAlarms(t *testing.T) {
	const runs = 60
	d, alarms := usual(), 0
	for run := range uint64(runs) {
		r := seeded(run + 5000)
		drawn, traffic := d.Draw(r), map[string][]Event{}
		for i := range 30 {
			traffic[fmt.Sprint(i)] = background(r, d, time.Duration(10+10*i)*time.Second)
		}
		found, err := Test(d, drawn, late(r, drawn), traffic, 700, r)
		if err != nil {
			t.Fatal(err)
		}
		if found[0].Adjusted <= 0.05 {
			alarms++
		}
	}
	t.Logf("%d of %d experiments raised an alarm", alarms, runs)
	if alarms > 9 { // 3 expected; more than 9 has a chance of 0.1 %
		t.Errorf("%d of %d experiments raised an alarm", alarms, runs)
	}
}

// TestPower: a destination that hears of every page, or of most, is found
// behind its own noise and among thirty others.
func TestPower(t *testing.T) {
	for _, c := range []struct {
		name  string
		share float64       // of pages that are reported
		after time.Duration // at the latest
		noise time.Duration
		need  int // of 20 experiments
	}{
		{"every page, quiet", 1, 10 * time.Second, time.Hour, 20},
		{"every page, noise every two minutes", 1, 10 * time.Second, 2 * time.Minute, 18},
		{"four of five pages", 0.8, 10 * time.Second, 5 * time.Minute, 15},
	} {
		found := 0
		for run := range uint64(20) {
			r, d := seeded(run+9000), usual()
			drawn := d.Draw(r)
			opened := late(r, drawn)
			events := background(r, d, c.noise)
			for _, at := range opened {
				if r.Float64() < c.share {
					events = append(events, Event{at + time.Duration(r.Int64N(int64(c.after))), 2000})
				}
			}
			traffic := map[string][]Event{"leaks": events}
			for i := range 29 {
				traffic[fmt.Sprint(i)] = background(r, d, time.Duration(20+20*i)*time.Second)
			}
			all, err := Test(d, drawn, opened, traffic, 999, r)
			if err != nil {
				t.Fatal(err)
			}
			if all[0].Name == "leaks" && all[0].Adjusted <= 0.05 {
				found++
			}
		}
		t.Logf("%s: found in %d of 20", c.name, found)
		if found < c.need {
			t.Errorf("%s: found in %d of 20 experiments, want %d", c.name, found, c.need)
		}
	}
}

func TestHolm(t *testing.T) {
	all := []Finding{{P: 0.04}, {P: 0.01}, {P: 0.03}, {P: 0.005}}
	holm(all)
	for i, want := range []float64{0.06, 0.03, 0.06, 0.02} { // worked by hand
		if math.Abs(all[i].Adjusted-want) > 1e-12 {
			t.Errorf("%v: adjusted %v, want %v", all[i].P, all[i].Adjusted, want)
		}
	}
}

func TestBadDesign(t *testing.T) {
	d := usual()
	for want, change := range map[string]func(*Design){
		"opens;":           func(d *Design) { d.Opens = 3 },
		"100 make sense":   func(d *Design) { d.Opens = 1e9 },
		"than a second":    func(d *Design) { d.Window = 0 },
		"overlap":          func(d *Design) { d.Gap = 10 * time.Second },
		"room for chance":  func(d *Design) { d.Length = 7 * time.Minute },
		"no room for chan": func(d *Design) { d.Length = -1 },
	} {
		bad := d
		change(&bad)
		if err := bad.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if _, err := Test(d, nil, nil, nil, 10, seeded(1)); err == nil {
		t.Error("a session without moments is taken")
	}
}

// TestEdges: what lies outside is not counted, and order does not matter.
func TestEdges(t *testing.T) {
	d, r := usual(), seeded(3)
	drawn := d.Draw(r)
	far := []Event{{-time.Second, 1}, {d.Length + d.Window + 1, 1}}
	if found, err := Test(d, drawn, drawn, map[string][]Event{"far": far}, 10, r); err != nil || len(found) != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	events := []Event{{drawn[3], -5}, {drawn[0], 10}, {drawn[0] + d.Window, 99}}
	found, err := Test(d, drawn, drawn, map[string][]Event{"x": events}, 10, r)
	if err != nil || found[0].Hits < 2 || found[0].Bytes != 109 || found[0].Events != 3 {
		t.Errorf("%+v, %v", found, err)
	}
}

func BenchmarkTest(b *testing.B) {
	d, r := usual(), seeded(1)
	drawn, traffic := d.Draw(r), map[string][]Event{}
	for i := range 50 {
		traffic[fmt.Sprint(i)] = background(r, d, 10*time.Second)
	}
	for b.Loop() {
		if _, err := Test(d, drawn, drawn, traffic, 20_000, r); err != nil {
			b.Fatal(err)
		}
	}
}
