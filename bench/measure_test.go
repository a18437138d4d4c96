//go:build bench

package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sample is what one round of one load gave.
type sample struct {
	rate float64 // bits or answers a second
	cpu  float64 // seconds of the gateway's processes for each byte or answer
	lost float64 // share of questions without an answer
}

// load is something to be measured, the same on every side.
type load struct {
	name string
	dns  bool // needs a resolver on the side
	once func(*side) sample
}

// tcp moves data through the tunnel with iperf3.
func tcp(down bool, flows int, d time.Duration) func(*side) sample {
	return func(s *side) sample {
		args := []string{"iperf3", "-c", webAddr, "-J", "-t", seconds(d), "-P", strconv.Itoa(flows)}
		if down {
			args = append(args, "-R")
		}
		var r moved
		var used float64
		// The server is busy for a moment after each test.
		s.until("iperf3's server", 100*time.Millisecond, func() bool {
			before := s.cpu()
			out := s.inside(s.phone, args...)
			used, r = s.cpu()-before, moved{}
			if err := json.Unmarshal([]byte(out), &r); err != nil || r.Error != "" && !strings.Contains(r.Error, "busy") {
				s.Fatalf("iperf3: %v %s\n%s", err, r.Error, out)
			}
			return r.Error == ""
		})
		return sample{rate: r.End.Received.Rate, cpu: used / r.End.Received.Bytes}
	}
}

// moved is what iperf3 says of a test.
type moved struct {
	Error string
	End   struct {
		Received struct {
			Bytes float64 `json:"bytes"`
			Rate  float64 `json:"bits_per_second"`
		} `json:"sum_received"`
	}
}

// questions asks the gateway inside the tunnel with dnsperf, with as many
// questions under way as dnsperf likes (100).
func questions(file string, d time.Duration) func(*side) sample {
	return func(s *side) sample {
		before := s.cpu()
		out := s.inside(s.phone, "dnsperf", "-s", gatewayAddr, "-d", file, "-l", seconds(d), "-c", "4", "-t", "1")
		used := s.cpu() - before
		sent, completed := number(out, `Queries sent: +(\d+)`), number(out, `Queries completed: +(\d+)`)
		good := number(out, `NOERROR (\d+)`)
		if completed == 0 || good < completed {
			s.Fatalf("%s: %v answers, %v of them good\n%s", s.name, completed, good, out)
		}
		return sample{rate: number(out, `Queries per second: +([\d.]+)`), cpu: used / completed, lost: (sent - completed) / sent}
	}
}

// batched asks with our own generator, which takes less of the machine from
// the gateway than dnsperf does.
func batched(file string, d time.Duration) func(*side) sample {
	return func(s *side) sample {
		before := s.cpu()
		h := s.helper(s.phone, fmt.Sprintf("flood %s %s %s", gatewayAddr, d, file))
		var sent, answered float64
		if _, err := fmt.Sscan(h.line(), &sent, &answered); err != nil || answered == 0 {
			s.Fatalf("%s: %v of %v questions answered: %v", s.name, answered, sent, err)
		}
		used := s.cpu() - before
		return sample{rate: answered / d.Seconds(), cpu: used / answered, lost: max(0, sent-answered-window) / sent}
	}
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }

// number gives what the first group of a pattern finds; 0 when it finds nothing.
func number(text, pattern string) float64 {
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	v, _ := strconv.ParseFloat(m[1], 64)
	return v
}

// tick is the unit of CPU time in /proc (USER_HZ, the same on all Linux).
const tick = 0.01

// cpu is what the gateway's processes have used, all threads, in seconds. Work
// that the kernel does for packets outside any process is in nobody's account.
func (s *side) cpu() (total float64) {
	for _, p := range s.running {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
		if err != nil {
			s.Fatal(err)
		}
		f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+2:])
		for _, v := range f[11:13] { // utime and stime, the 14th and 15th of proc(5)
			n, _ := strconv.ParseFloat(string(v), 64)
			total += n * tick
		}
	}
	return total
}

// memory is what the gateway's processes hold, in MB, by a field of
// /proc/PID/status: VmRSS or VmHWM.
func (s *side) memory(field string) (total float64) {
	for _, p := range s.running {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
		if err != nil {
			s.Fatal(err)
		}
		total += number(string(status), field+`:\s+(\d+)`) / 1024
	}
	return total
}

// result is all rounds of one load, by side.
type result map[*side][]sample

// measure runs a load on every side in turn, as many rounds as asked; every
// other round begins with the last side.
func (b *bench) measure(l load, sides []*side, rounds int) result {
	r := result{}
	order := slices.Clone(sides)
	for round := range rounds {
		for _, s := range order {
			if b.ctx.Err() != nil {
				b.Fatal("out of time")
			}
			got := l.once(s)
			r[s] = append(r[s], got)
			b.Logf("%s, round %d, %s: %s", l.name, round+1, s.name, l.show(got))
		}
		slices.Reverse(order)
	}
	return r
}

func (l load) show(s sample) string {
	if !l.dns {
		return fmt.Sprintf("%.2f Gbit/s, %.1f s CPU/GB", s.rate/1e9, s.cpu*1e9)
	}
	text := fmt.Sprintf("%.1f k/s, %.1f us CPU each", s.rate/1e3, s.cpu*1e6)
	if s.lost > 0.0005 {
		text += fmt.Sprintf(", %.1f %% lost", s.lost*100)
	}
	return text
}

// median takes each column by itself.
func (r result) median(s *side) sample {
	col := func(f func(sample) float64) float64 {
		var v []float64
		for _, x := range r[s] {
			v = append(v, f(x))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return sample{
		rate: col(func(x sample) float64 { return x.rate }),
		cpu:  col(func(x sample) float64 { return x.cpu }),
		lost: col(func(x sample) float64 { return x.lost }),
	}
}

// evenly picks names of the length that most have, as the generator wants it.
func evenly(list []string) []string {
	byLength := map[int][]string{}
	var best []string
	for _, name := range list {
		n := len(name)
		if byLength[n] = append(byLength[n], name); len(byLength[n]) > len(best) {
			best = byLength[n]
		}
	}
	return best
}
