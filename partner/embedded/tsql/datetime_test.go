package tsql

import (
	"strings"
	"testing"
	"time"
)

func TestRoundDateTime(t *testing.T) {
	// From the manual's table of datetime rounding.
	tests := []struct {
		nanoseconds int
		want        string
	}{
		{999_000_000, "2026-01-02 00:00:00.000"}, {995_000_000, "2026-01-01 23:59:59.997"}, {998_000_000, "2026-01-01 23:59:59.997"}, {992_000_000, "2026-01-01 23:59:59.993"},
		{994_000_000, "2026-01-01 23:59:59.993"}, {990_000_000, "2026-01-01 23:59:59.990"}, {991_000_000, "2026-01-01 23:59:59.990"}, {0, "2026-01-01 23:59:59.000"},
	}
	for _, test := range tests {
		when := time.Date(2026, 1, 1, 23, 59, 59, test.nanoseconds, time.UTC)
		got := FormatDateTime(when)
		if got != test.want {
			t.Errorf("FormatDateTime(%s) = %s, want %s", when, got, test.want)
		}
		back, err := ParseDateTime(got)
		if err != nil || !back.Equal(RoundDateTime(when)) || FormatDateTime(back) != got {
			t.Errorf("ParseDateTime(%s) = %s, %v", got, back, err)
		}
	}
}

// TestRoundDateTimeIsStable: every tick rounds to itself.
func TestRoundDateTimeIsStable(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for ms := range 1000 {
		once := RoundDateTime(start.Add(time.Duration(ms) * time.Millisecond))
		if twice := RoundDateTime(once); !twice.Equal(once) {
			t.Fatalf("%d ms: %s, then %s", ms, once, twice)
		}
		if off := once.Sub(start) - time.Duration(ms)*time.Millisecond; off < -2*time.Millisecond || off > 2*time.Millisecond {
			t.Fatalf("%d ms: %s away", ms, off)
		}
	}
}

func TestParseDateTime(t *testing.T) {
	tests := []struct{ text, want string }{
		{"2026-11-22 20:28:05.123", "2026-11-22 20:28:05.1230000"}, {"2026-11-22 20:28:05.1234567", "2026-11-22 20:28:05.1234567"}, {"2026-11-22T20:28:05Z", "2026-11-22 20:28:05.0000000"},
		{"2026-11-22T20:28:05+02:00", "2026-11-22 18:28:05.0000000"}, {"2026-11-22 20:28:05.5 -01:30", "2026-11-22 21:58:05.5000000"}, {"2026-11-22", "2026-11-22 00:00:00.0000000"}, {"20261122", "2026-11-22 00:00:00.0000000"},
		{"20261122 20:28", "2026-11-22 20:28:00.0000000"}, {"11/22/2026", "2026-11-22 00:00:00.0000000"}, {"20:28:05", "1900-01-01 20:28:05.0000000"},
	}
	for _, test := range tests {
		got, err := ParseDateTime(test.text)
		if err != nil || FormatDateTime2(got) != test.want || got.Location() != time.UTC {
			t.Errorf("ParseDateTime(%q) = %s, %v, want %s", test.text, got, err, test.want)
		}
	}
	for _, text := range []string{"", "soon", "2026-13-01", "2026-02-30", "1", "2026-11-22 25:00"} {
		if got, err := ParseDateTime(text); err == nil {
			t.Errorf("ParseDateTime(%q) = %s, want an error", text, got)
		}
	}
}

func TestClockValue(t *testing.T) {
	east := testNow.In(time.FixedZone("east", 3600))
	for name, want := range map[string]string{
		"GETUTCDATE": "2026-11-22 20:28:05.123", "GETDATE": "2026-11-22 21:28:05.123",
		"SYSUTCDATETIME": "2026-11-22 20:28:05.1234567", "SYSDATETIME": "2026-11-22 21:28:05.1234567",
	} {
		if got, ok := ClockValue(name, east); !ok || got != want {
			t.Errorf("ClockValue(%s) = %s, %v, want %s", name, got, ok, want)
		}
	}
	if got, ok := ClockValue("@@SPID", east); ok {
		t.Errorf("ClockValue(@@SPID) = %s", got)
	}
}

func TestBindName(t *testing.T) {
	for variable, want := range map[string]string{"@id": "v_id", "@ID": "v_id", "@_x#1": "v__x$23$1", "@é": "v_$e9$"} {
		if got := BindName(variable); got != want {
			t.Errorf("BindName(%s) = %s, want %s", variable, got, want)
		}
	}
}

// The stored forms are parsed and formatted with the same result as with
// package time.
func TestStoredForms_AsPackageTime(t *testing.T) {
	for _, text := range []string{
		"2026-11-30 10:00:00.003", "2026-11-30 10:00:00.0033333", "0001-01-01 00:00:00.000", "9999-12-31 23:59:59.9999999", "2024-02-29 23:59:59.997", "2023-02-29 00:00:00.000",
		"2026-02-31 00:00:00.000", "2026-13-01 00:00:00.000", "2026-00-01 00:00:00.000", "2026-01-00 00:00:00.000", "2026-01-01 24:00:00.000", "2026-01-01 00:60:00.000", "2026-01-01 00:00:60.000",
		"0000-01-01 00:00:00.000", "2026-11-30T10:00:00.003", "2026-11-30 10:00:00,003", "2026-11-30 10:00:00.00x", "2026/11/30 10:00:00.003", "2026-11-30 10:00:00", "", "2026-11-30 10:00:00.00333",
	} {
		got, ok := parseStored(text)
		want, err := time.Parse("2006-01-02 15:04:05", text)
		formed := len(text) == len(dateTimeLayout) || len(text) == len(dateTime2Layout)
		if strings.Contains(text, ",") || want.Year() == 0 {
			formed = false
		}
		if ok != (err == nil && formed) || ok && !got.Equal(want) {
			t.Errorf("%q: %v %v, package time returns %v %v", text, got, ok, want, err)
		}
	}
	for _, at := range []time.Time{
		time.Date(2026, 1, 2, 3, 4, 5, 6_700_000, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(2026, 12, 31, 23, 59, 59, 998_999_999, time.FixedZone("", 7200)), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(12026, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(0, 1, 1, 0, 0, 0, 100, time.UTC),
	} {
		for decimals, layout := range map[int]string{3: dateTimeLayout, 7: dateTime2Layout} {
			if got, want := clockText(at, decimals), at.Format(layout); got != want {
				t.Errorf("%v: %s, package time returns %s", at, got, want)
			}
		}
	}
}
