package config

import (
	"encoding"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Duration is a time span: a number with a unit of ns, us, ms, s, m, h or d,
// or several in a row, such as 1m30s.
type Duration time.Duration

// MarshalText writes the shortest form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String writes the shortest form, such as 1h or 1m30s.
func (d Duration) String() string {
	if d > 0 && time.Duration(d)%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(time.Duration(d)/(24*time.Hour)), 10) + "d"
	}
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	if s == "0s" {
		return "0"
	}
	return s
}

// UnmarshalText reads a span. It must not be negative.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	switch s {
	case "":
		return errNotDuration(s)
	case "0":
		*d = 0
		return nil
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return fmt.Errorf("%s needs a unit, such as %ss or %sms", quote(s), s, s)
	}
	days, rest := int64(0), s
	if before, after, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(before, 10, 32)
		if err != nil || n > 100*365 {
			return errNotDuration(s)
		}
		days, rest = int64(n), after
	}
	var span time.Duration
	if rest != "" {
		var err error
		if span, err = time.ParseDuration(rest); err != nil || span < 0 || rest[0] == '+' || rest[0] == '-' {
			return errNotDuration(s)
		}
	}
	total := time.Duration(days)*24*time.Hour + span
	if total < span {
		return errNotDuration(s)
	}
	*d = Duration(total)
	return nil
}

func errNotDuration(s string) error {
	return fmt.Errorf("%s is not a time such as 30s, 1m30s or 7d", quote(s))
}

// D is the span as the standard library knows it.
func (d Duration) D() time.Duration { return time.Duration(d) }

// IdleOverride is a time, or "disabled" for leaving an idle timeout alone, or
// "indefinite" for having none.
type IdleOverride Duration

// Values of IdleOverride that are no times.
const (
	IdleDisabled   IdleOverride = 0
	IdleIndefinite IdleOverride = -1
)

// MarshalText writes the word or the time.
func (o IdleOverride) MarshalText() ([]byte, error) {
	switch o {
	case IdleDisabled:
		return []byte("disabled"), nil
	case IdleIndefinite:
		return []byte("indefinite"), nil
	}
	return Duration(o).MarshalText()
}

// UnmarshalText reads the word or the time.
func (o *IdleOverride) UnmarshalText(text []byte) error {
	switch string(text) {
	case "disabled":
		*o = IdleDisabled
		return nil
	case "indefinite":
		*o = IdleIndefinite
		return nil
	}
	var d Duration
	if err := d.UnmarshalText(text); err != nil || d == 0 {
		return fmt.Errorf("%s is neither disabled, indefinite, nor a time such as 30s", quote(string(text)))
	}
	*o = IdleOverride(d)
	return nil
}

// Size is a number of bytes, with a unit or without: KiB, MiB, GiB count in
// powers of 1024, kB, MB, GB in powers of 1000. K, M and G alone are the former.
type Size int64

var sizeUnits = []struct {
	name   string
	factor int64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3},
	{"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"k", 1 << 10}, {"B", 1},
}

// MarshalText writes the largest unit that leaves no remainder.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String writes the largest unit that leaves no remainder.
func (s Size) String() string {
	for _, u := range sizeUnits[:3] {
		if s != 0 && int64(s)%u.factor == 0 {
			return strconv.FormatInt(int64(s)/u.factor, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	number, factor := string(text), int64(1)
	for _, u := range sizeUnits {
		if n, ok := strings.CutSuffix(number, u.name); ok {
			number, factor = strings.TrimSpace(n), u.factor
			break
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || int64(n) > math.MaxInt64/factor {
		return fmt.Errorf("%s is not a size such as 512, 64KiB or 10MB", quote(string(text)))
	}
	*s = Size(int64(n) * factor)
	return nil
}

// Ratio is a part of a whole: 0.2 or 20%.
type Ratio float64

// MarshalText writes a percentage.
func (r Ratio) MarshalText() ([]byte, error) {
	return []byte(strconv.FormatFloat(float64(r)*100, 'g', 10, 64) + "%"), nil
}

// UnmarshalText reads 0 to 1, or 0% to 100%.
func (r *Ratio) UnmarshalText(text []byte) error {
	number, percent := strings.CutSuffix(string(text), "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return fmt.Errorf("%s is not a part such as 20%% or 0.2", quote(string(text)))
	}
	*r = Ratio(v)
	return nil
}

// SourceMask is how many leading bits of IPv4 addresses count: 0 to 32, or as a
// mask such as 255.255.255.0.
type SourceMask int

// MarshalText writes the number.
func (m SourceMask) MarshalText() ([]byte, error) { return []byte(strconv.Itoa(int(m))), nil }

// UnmarshalText reads the number or the mask.
func (m *SourceMask) UnmarshalText(text []byte) error {
	s := strings.TrimPrefix(string(text), "/")
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n <= 32 {
		*m = SourceMask(n)
		return nil
	}
	if mask, err := netip.ParseAddr(s); err == nil && mask.Is4() {
		if bits, ok := maskBits(mask.As4()); ok {
			*m = SourceMask(bits)
			return nil
		}
	}
	return fmt.Errorf("%s is not a mask such as 24 or 255.255.255.0", quote(string(text)))
}

// maskBits counts the ones of a mask that has no zero before a one.
func maskBits(mask [4]byte) (bits int, ok bool) {
	v := uint32(mask[0])<<24 | uint32(mask[1])<<16 | uint32(mask[2])<<8 | uint32(mask[3])
	for v&(1<<31) != 0 {
		bits++
		v <<= 1
	}
	return bits, v == 0
}

// Prefix is a network such as 10.0.0.0/8, or an address.
type Prefix struct{ netip.Prefix }

// MarshalText writes the network.
func (p Prefix) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a network, or an address for a network of one.
func (p *Prefix) UnmarshalText(text []byte) error {
	if a, err := netip.ParseAddr(string(text)); err == nil && a.Zone() == "" {
		p.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	prefix, err := netip.ParsePrefix(string(text))
	if err != nil {
		return fmt.Errorf("%s is not a network such as 10.0.0.0/8", quote(string(text)))
	}
	if prefix != prefix.Masked() {
		return fmt.Errorf("%s has bits beyond its length; %s would be the network", quote(string(text)), prefix.Masked())
	}
	p.Prefix = prefix
	return nil
}

// StatusRange is a status code of HTTP such as 204, or a range such as 200-399.
type StatusRange struct{ From, To int }

// MarshalText writes the code or the range.
func (r StatusRange) MarshalText() ([]byte, error) {
	if r.From == r.To {
		return []byte(strconv.Itoa(r.From)), nil
	}
	return fmt.Appendf(nil, "%d-%d", r.From, r.To), nil
}

// UnmarshalText reads the code or the range.
func (r *StatusRange) UnmarshalText(text []byte) error {
	from, to, ranged := strings.Cut(string(text), "-")
	if !ranged {
		to = from
	}
	a, err1 := strconv.Atoi(strings.TrimSpace(from))
	b, err2 := strconv.Atoi(strings.TrimSpace(to))
	if err1 != nil || err2 != nil || a < 100 || b > 599 || a > b {
		return fmt.Errorf("%s is not a status code such as 204 or a range such as 200-399", quote(string(text)))
	}
	*r = StatusRange{a, b}
	return nil
}

// File is the name of a file. A relative one counts from the directory of the
// configuration file.
type File string

// The values that are written as text.
var (
	_ encoding.TextUnmarshaler = (*Duration)(nil)
	_ encoding.TextUnmarshaler = (*IdleOverride)(nil)
	_ encoding.TextUnmarshaler = (*Size)(nil)
	_ encoding.TextUnmarshaler = (*Ratio)(nil)
	_ encoding.TextUnmarshaler = (*SourceMask)(nil)
	_ encoding.TextUnmarshaler = (*Prefix)(nil)
	_ encoding.TextUnmarshaler = (*StatusRange)(nil)
	_ encoding.TextUnmarshaler = (*Address)(nil)
)

// quote puts s in quotes, short and without control characters.
func quote(s string) string {
	const limit = 60
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "..."
	}
	return strconv.Quote(s)
}
