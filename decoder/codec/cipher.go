package codec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" // what telemetry uses is not ours to choose
	"crypto/rc4" // the same
)

// AESCBC decrypts AES in CBC mode and takes the PKCS #7 padding off. It reports
// false when key, length or padding do not fit: then the key was another.
func AESCBC(p, key, iv []byte) ([]byte, bool) {
	block, err := aes.NewCipher(key)
	if err != nil || len(iv) != aes.BlockSize || len(p) == 0 || len(p)%aes.BlockSize != 0 {
		return nil, false
	}
	out := make([]byte, len(p))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, p)
	return unpad(out, aes.BlockSize)
}

// AESECB decrypts AES block by block.
func AESECB(p, key []byte) ([]byte, bool) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, false
	}
	return ecb(p, block)
}

// DESECB decrypts DES block by block.
func DESECB(p, key []byte) ([]byte, bool) {
	block, err := des.NewCipher(key)
	if err != nil {
		return nil, false
	}
	return ecb(p, block)
}

func ecb(p []byte, block cipher.Block) ([]byte, bool) {
	size := block.BlockSize()
	if len(p) == 0 || len(p)%size != 0 {
		return nil, false
	}
	out := make([]byte, len(p))
	for i := 0; i < len(p); i += size {
		block.Decrypt(out[i:], p[i:i+size])
	}
	return unpad(out, size)
}

// unpad takes the padding off (RFC 5652 §6.3).
func unpad(p []byte, size int) ([]byte, bool) {
	n := int(p[len(p)-1])
	if n == 0 || n > size {
		return nil, false
	}
	for _, c := range p[len(p)-n:] {
		if int(c) != n {
			return nil, false
		}
	}
	return p[:len(p)-n], true
}

// RC4 runs the cipher; it is its own inverse.
func RC4(p, key []byte) ([]byte, bool) {
	c, err := rc4.NewCipher(key)
	if err != nil {
		return nil, false
	}
	out := make([]byte, len(p))
	c.XORKeyStream(out, p)
	return out, true
}

// XOR repeats key over p.
func XOR(p, key []byte) ([]byte, bool) {
	if len(key) == 0 {
		return nil, false
	}
	out := make([]byte, len(p))
	for i, c := range p {
		out[i] = c ^ key[i%len(key)]
	}
	return out, true
}
