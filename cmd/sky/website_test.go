package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// writePair writes a certificate with a serial number, and its key.
func writePair(t *testing.T, cert, key string, number int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(number), NotAfter: time.Now().Add(time.Hour)}
	made, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	encoded, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded}), 0o600))
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made}), 0o600))
	later := time.Unix(1_000_000+number, 0) // as a renewal is
	require.NoError(t, os.Chtimes(cert, later, later))
}

func TestRenewedCertificateServes(t *testing.T) {
	cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	files := &certificateFiles{cert: cert, key: key, log: slog.New(slog.DiscardHandler)}
	_, err := files.get()
	require.Error(t, err, "no files")
	number := func() int64 {
		pair, err := files.get()
		require.NoError(t, err)
		return pair.Leaf.SerialNumber.Int64()
	}
	writePair(t, cert, key, 1)
	require.EqualValues(t, 1, number())
	writePair(t, cert, key, 2)
	require.EqualValues(t, 2, number())
	require.NoError(t, os.WriteFile(cert, []byte("half of it"), 0o600))
	require.EqualValues(t, 2, number(), "the former one serves")
	require.NoError(t, os.Remove(cert))
	require.EqualValues(t, 2, number())
	writePair(t, cert, key, 3)
	require.EqualValues(t, 3, number())
}

func TestRenewing(t *testing.T) {
	made, until := 0, time.Now().Add(time.Hour)
	var failure error
	get := renewing(func() (*tls.Certificate, time.Time, error) {
		made++
		return &tls.Certificate{}, until, failure
	})
	until, failure = time.Time{}, errors.New("no randomness")
	_, err := get()
	require.Error(t, err)
	until, failure = time.Now().Add(time.Hour), nil
	_, err = get()
	require.NoError(t, err)
	_, err = get()
	require.NoError(t, err)
	require.Equal(t, 2, made, "once for its life")
}

func TestTLSFlags(t *testing.T) {
	for name, config := range map[string]serverConfig{
		"a certificate without key": {tlsCert: "cert.pem"},
		"a key without certificate": {tlsKey: "key.pem"},
		"a key for our own":         {tlsCert: ownCertificate, tlsKey: "key.pem"},
		"two authorities":           {tlsCert: ownCertificate, agentCA: "ca.pem"},
	} {
		require.Error(t, config.checkTLS(), name)
	}
	require.NoError(t, (&serverConfig{tlsCert: ownCertificate}).checkTLS())
	require.NoError(t, (&serverConfig{tlsCert: "c", tlsKey: "k", agentCA: "a"}).checkTLS())
	require.NoError(t, (&serverConfig{}).checkTLS())
}
