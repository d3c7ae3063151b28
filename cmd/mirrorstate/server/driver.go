package server

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/mirrorstate/mirrorstate/config"
	"github.com/mirrorstate/mirrorstate/textfile"
)

// driverSettings returns the driver's settings for server i. It reads the certificate files itself, because the driver
// does not accept a file with a byte order mark, as Windows writes it.
func driverSettings(p config.Partners, i int) (*msdsn.Config, error) {
	roots, own := p.Servers[i].CAFile, p.Servers[i].CertificateFile
	p.Servers[i].CAFile, p.Servers[i].CertificateFile = "", ""
	dsn, err := msdsn.Parse(p.DriverString(i).Reveal())
	if err != nil {
		// The parser's error may quote its input, including the password.
		return nil, fmt.Errorf("the driver refuses the settings of partner %c", 'a'+i)
	}
	if s := p.Servers[i]; s.Encrypt != "true" && s.Encrypt != "strict" {
		return &dsn, nil
	}
	if roots != "" {
		all, err := readCertificates(roots)
		if err != nil {
			return nil, fmt.Errorf("ca_file of partner %c: %w", 'a'+i, err)
		}
		dsn.TLSConfig.RootCAs = x509.NewCertPool()
		for _, c := range all {
			dsn.TLSConfig.RootCAs.AddCert(c)
		}
	}
	if own != "" {
		all, err := readCertificates(own)
		if err != nil {
			return nil, fmt.Errorf("certificate_file of partner %c: %w", 'a'+i, err)
		}
		dsn.TLSConfig.InsecureSkipVerify = true // VerifyPeerCertificate compares the certificate instead
		dsn.TLSConfig.VerifyPeerCertificate = func(shown [][]byte, _ [][]*x509.Certificate) error {
			if len(shown) == 0 || !bytes.Equal(shown[0], all[0].Raw) {
				return errors.New("server certificate doesn't match the provided certificate") // in the driver's words
			}
			return nil
		}
	}
	return &dsn, nil
}

// readCertificates reads a file that holds certificates in PEM, or one certificate in DER.
func readCertificates(file string) (all []*x509.Certificate, err error) {
	text, err := textfile.Read(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" {
			all = append(all, c) // a bundle may also hold certificates that Go can't parse
		}
	}
	if len(all) > 0 {
		return all, nil
	}
	c, err := x509.ParseCertificate(text)
	if err != nil {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return []*x509.Certificate{c}, nil
}
