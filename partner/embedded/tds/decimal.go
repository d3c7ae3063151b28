package tds

import (
	"errors"
	"math/big"
	"slices"
	"strings"
)

var errDecimal = errors.New("not a decimal number that the type can hold")

// decimalBytes returns the size of the digits of a numeric of that precision.
func decimalBytes(precision uint8) int {
	switch {
	case precision <= 9:
		return 4
	case precision <= 19:
		return 8
	case precision <= 28:
		return 12
	}
	return 16
}

// parseDecimal returns s times 10^scale, rounded half away from zero as SQL Server does.
func parseDecimal(s string, scale int) (*big.Int, error) {
	s = strings.TrimSpace(s)
	negative := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	whole, fraction, _ := strings.Cut(s, ".")
	digits := whole + fraction
	if digits == "" || len(digits) > 128 || strings.Trim(digits, "0123456789") != "" {
		return nil, errDecimal
	}
	up := false
	if len(fraction) > scale {
		up = fraction[scale] >= '5'
		digits = "0" + whole + fraction[:scale]
	} else {
		digits += strings.Repeat("0", scale-len(fraction))
	}
	n, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		return nil, errDecimal
	}
	if up {
		n.Add(n, big.NewInt(1))
	}
	if negative {
		n.Neg(n)
	}
	return n, nil
}

// formatDecimal returns n divided by 10^scale.
func formatDecimal(n *big.Int, scale int) string {
	s := new(big.Int).Abs(n).String()
	if len(s) <= scale {
		s = strings.Repeat("0", scale-len(s)+1) + s
	}
	if scale > 0 {
		s = s[:len(s)-scale] + "." + s[len(s)-scale:]
	}
	if n.Sign() < 0 {
		return "-" + s
	}
	return s
}

// appendNumeric appends the value of a numeric: sign 1 (1 is plus) | digits, as many
// bytes as the precision needs.
func appendNumeric(b []byte, t Type, s string) ([]byte, error) {
	n, err := parseDecimal(s, int(t.scale))
	if err != nil {
		return b, err
	}
	if digits := new(big.Int).Abs(n).String(); len(digits) > int(t.precision) {
		return b, errDecimal
	}
	sign := byte(1)
	if n.Sign() < 0 {
		sign = 0
	}
	raw := make([]byte, decimalBytes(t.precision))
	n.Abs(n).FillBytes(raw)
	slices.Reverse(raw)
	return append(append(b, sign), raw...), nil
}

// numeric reads what appendNumeric writes.
func numeric(b []byte, scale uint8) string {
	raw := slices.Clone(b[1:])
	slices.Reverse(raw)
	n := new(big.Int).SetBytes(raw)
	if b[0] == 0 {
		n.Neg(n)
	}
	return formatDecimal(n, int(scale))
}

// moneyScale is the number of decimals of money and smallmoney.
const moneyScale = 4

// appendMoney appends a money (high 4 | low 4) or smallmoney (4), in ten-thousandths.
func appendMoney(b []byte, k Kind, s string) ([]byte, error) {
	n, err := parseDecimal(s, moneyScale)
	if err != nil {
		return b, err
	}
	v := n.Int64()
	if !n.IsInt64() || k == KindSmallMoney && v != int64(int32(v)) {
		return b, errDecimal
	}
	if k == KindMoney {
		b = appendLittle(b, v>>32, 4)
	}
	return appendLittle(b, v, 4), nil
}

// money reads a money of 8 bytes or a smallmoney of 4.
func money(b []byte) string {
	v := int64(int32(little(b[:4])))
	if len(b) == 8 {
		v = v<<32 | little(b[4:])
	}
	return formatDecimal(big.NewInt(v), moneyScale)
}
