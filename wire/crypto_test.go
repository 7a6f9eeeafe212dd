package wire

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math/rand/v2"
	"testing"
)

// The vectors of this file were computed with Python's hashlib and hmac:
//
//	hashlib.sha256(struct.pack('>Q', key)).digest()
//	hmac.new(struct.pack('>QQ', local, remote), msg, 'sha256').digest()
var keyVectors = []struct {
	key     Key
	version uint8
	token   uint32
	idsn    uint64
}{
	{0, V0, 0x05fe4057, 0xac558654f107c7e9},
	{0, V1, 0xaf5570f5, 0xe5b2328de0e83dfc},
	{keyA, V0, 0x0ca2eadb, 0xe3df8ee121f10547},
	{keyA, V1, 0x55c53f5d, 0x570762cd38be9818},
	{keyB, V0, 0xa5be6871, 0x334fc234bee495ca},
	{keyB, V1, 0x18f9781b, 0x280818bf0fa7e28e},
	{1<<64 - 1, V0, 0xbe673e8a, 0x866701c11ef8e089},
	{1<<64 - 1, V1, 0x12a3ae44, 0x57fb595bbbacf0ca},
}

func testJoinHMAC(t *testing.T) {
	const nonceA, nonceB = 0x11223344, 0xaabbccdd
	for _, tc := range []struct {
		name    string
		version uint8
		local   bool // A's
		want    string
	}{
		{"v1 A", V1, true, "f61753d6b8ac227764b9d1b17a6f5ceeec9d1a8a"},
		{"v1 B", V1, false, "3bae5abc810a33c2e293af8b4572e4827e89510e"},
		{"v0 A", V0, true, "73f372c7fb45d80f5ac7adb91baca5c87b0c783d"},
		{"v0 B", V0, false, "327e3a27097c3dc0ee2bb63754182181cf0ada04"},
	} {
		got := JoinHMAC(keyA, keyB, nonceA, nonceB, tc.version)
		if !tc.local {
			got = JoinHMAC(keyB, keyA, nonceB, nonceA, tc.version)
		}
		if hex.EncodeToString(got[:]) != tc.want {
			t.Errorf("%s: got %x, want %s", tc.name, got, tc.want)
		}
	}
}

func testAddAddrHMAC(t *testing.T) {
	for _, tc := range []struct {
		a            AddAddr
		fromA, fromB string
	}{
		{AddAddr{ID: 1, Addr: ip("192.0.2.33")}, "c698d44a0bd667d5", "27a0131d36874661"},
		{AddAddr{ID: 1, Addr: ip("192.0.2.33"), Port: 8080}, "e422ea2dca045fba", "0b3ec8a9e833750d"},
		{AddAddr{ID: 200, Addr: ip("2001:db8::5")}, "034001d56d83ad2d", "882e07471864e9a9"},
		{AddAddr{ID: 200, Addr: ip("2001:db8::5"), Port: 443}, "465343cce9ab79b6", "36f5e0fd4dec2d00"},
	} {
		a, b := AddAddrHMAC(keyA, keyB, &tc.a), AddAddrHMAC(keyB, keyA, &tc.a)
		if hex.EncodeToString(a[:]) != tc.fromA || hex.EncodeToString(b[:]) != tc.fromB {
			t.Errorf("%+v: got %x and %x, want %s and %s", tc.a, a, b, tc.fromA, tc.fromB)
		}
	}
}

// The HMACs are those of the standard library, for any keys and messages.
func TestHMACAgainstStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		first, second := Key(r.Uint64()), Key(r.Uint64())
		msg := make([]byte, r.IntN(hmacMaxMsg+1))
		for i := range msg {
			msg[i] = byte(r.Uint32())
		}
		want := func(h func() hash.Hash) string {
			key := binary.BigEndian.AppendUint64(nil, uint64(first))
			m := hmac.New(h, binary.BigEndian.AppendUint64(key, uint64(second)))
			m.Write(msg)
			return hex.EncodeToString(m.Sum(nil))
		}
		got1, got256 := hmacSHA1(first, second, msg), hmacSHA256(first, second, msg)
		if hex.EncodeToString(got1[:]) != want(sha1.New) || hex.EncodeToString(got256[:]) != want(sha256.New) {
			t.Fatalf("keys %x %x, message %x: got %x and %x", first, second, msg, got1, got256)
		}
	}
}
