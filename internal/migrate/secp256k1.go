package migrate

import (
	"errors"
	"math/big"
	"sync"
)

// The curve secp256k1 (SEC 2, section 2.4.1): y² = x³ + 7 over the integers
// modulo p. Go's standard library has no such curve, and a library with it
// makes the program a tenth larger, for all who never import a file of
// dotenvx. So here is the little that decrypting needs, in affine coordinates
// on math/big. Its time depends on the scalar: it runs only on the machine
// that holds the key, while one person imports.
type point struct{ x, y *big.Int } // x is nil at infinity

type secpCurve struct {
	p, n *big.Int // the field, the order of g
	g    point
}

var secp256k1 = sync.OnceValue(func() *secpCurve {
	number := func(hex string) *big.Int { n, _ := new(big.Int).SetString(hex, 16); return n }
	return &secpCurve{
		p: number("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f"),
		n: number("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"),
		g: point{
			number("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
			number("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"),
		},
	}
})

// scalar reads a private key.
func (c *secpCurve) scalar(raw []byte) (*big.Int, error) {
	k := new(big.Int).SetBytes(raw)
	if len(raw) != 32 || k.Sign() == 0 || k.Cmp(c.n) >= 0 {
		return nil, errors.New("not a private key of secp256k1")
	}
	return k, nil
}

// parse reads an uncompressed point, and refuses what is not on the curve.
func (c *secpCurve) parse(raw []byte) (point, error) {
	if len(raw) != 65 || raw[0] != 4 {
		return point{}, errors.New("not an uncompressed point")
	}
	a := point{new(big.Int).SetBytes(raw[1:33]), new(big.Int).SetBytes(raw[33:])}
	right := new(big.Int).Exp(a.x, big.NewInt(3), c.p)
	right.Mod(right.Add(right, big.NewInt(7)), c.p)
	if a.x.Cmp(c.p) >= 0 || a.y.Cmp(c.p) >= 0 || c.mod(new(big.Int).Mul(a.y, a.y)).Cmp(right) != 0 {
		return point{}, errors.New("not a point of the curve")
	}
	return a, nil
}

func (c *secpCurve) mod(v *big.Int) *big.Int { return v.Mod(v, c.p) }

// add is the chord, or the tangent where the points are one.
func (c *secpCurve) add(a, b point) point {
	if a.x == nil {
		return b
	}
	if b.x == nil {
		return a
	}
	rise, run := new(big.Int).Sub(b.y, a.y), new(big.Int).Sub(b.x, a.x)
	if a.x.Cmp(b.x) == 0 {
		if a.y.Cmp(b.y) != 0 {
			return point{}
		}
		rise.Mul(rise.Mul(a.x, a.x), big.NewInt(3))
		run.Lsh(a.y, 1)
	}
	slope := c.mod(rise.Mul(rise, run.ModInverse(c.mod(run), c.p)))
	x := new(big.Int).Mul(slope, slope)
	c.mod(x.Sub(x.Sub(x, a.x), b.x))
	y := new(big.Int).Sub(a.x, x)
	c.mod(y.Sub(y.Mul(y, slope), a.y))
	return point{x, y}
}

// multiply adds a to itself k times, 0 < k < n.
func (c *secpCurve) multiply(k *big.Int, a point) (sum point) {
	for i := k.BitLen() - 1; i >= 0; i-- {
		sum = c.add(sum, sum)
		if k.Bit(i) == 1 {
			sum = c.add(sum, a)
		}
	}
	return sum
}

// uncompressed and compressed are the encodings of SEC 1, section 2.3.3.
func (a point) uncompressed() []byte {
	out := make([]byte, 65)
	out[0] = 4
	a.x.FillBytes(out[1:33])
	a.y.FillBytes(out[33:])
	return out
}

func (a point) compressed() []byte {
	out := a.uncompressed()[:33]
	out[0] = 2 + byte(a.y.Bit(0))
	return out
}
