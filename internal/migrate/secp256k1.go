package migrate

import (
	"errors"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// The curve secp256k1 (SEC 2, section 2.4.1), which Go's standard library does
// not have and files of dotenvx need. The library reads scalars and works on
// field elements in constant time, but the time of its multiplications depends
// on the scalar; it has no others, its ECDH uses the same one. That is fine
// here: it happens while one person imports files, on the machine that holds
// the private key, and nobody else can choose points and measure.

var errScalar = errors.New("not a private key of secp256k1")

// readScalar reads a private key.
func readScalar(raw []byte) (*secp256k1.ModNScalar, error) {
	k := new(secp256k1.ModNScalar)
	if len(raw) != 32 || k.SetByteSlice(raw) || k.IsZero() {
		return nil, errScalar
	}
	return k, nil
}

// readPoint reads an uncompressed point of the curve (SEC 1, section 2.3.4).
// The library takes other forms, too; its errors would show the point.
func readPoint(raw []byte) (*secp256k1.PublicKey, error) {
	if len(raw) == secp256k1.PubKeyBytesLenUncompressed && raw[0] == secp256k1.PubKeyFormatUncompressed {
		if p, err := secp256k1.ParsePubKey(raw); err == nil {
			return p, nil
		}
	}
	return nil, errors.New("not an uncompressed point of secp256k1")
}

// publicOf returns the public key of a private one: the curve's generator,
// multiplied. PrivateKey.PubKey would unpack a table of its multiples first,
// which takes 17 ms.
func publicOf(k *secp256k1.ModNScalar) *secp256k1.PublicKey {
	var x, y secp256k1.FieldVal
	curve := secp256k1.Params()
	x.SetByteSlice(curve.Gx.Bytes())
	y.SetByteSlice(curve.Gy.Bytes())
	return multiply(k, secp256k1.NewPublicKey(&x, &y))
}

// multiply adds p to itself k times. The order of the curve is a prime and k
// is not zero, so the product is a point, never infinity.
func multiply(k *secp256k1.ModNScalar, p *secp256k1.PublicKey) *secp256k1.PublicKey {
	var point, product secp256k1.JacobianPoint
	p.AsJacobian(&point)
	secp256k1.ScalarMultNonConst(k, &point, &product)
	product.ToAffine()
	return secp256k1.NewPublicKey(&product.X, &product.Y)
}
