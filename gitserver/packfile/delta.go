package packfile

// DeltaSizes reads the sizes that begin a delta: of its base and of its result.
func DeltaSizes(delta []byte) (base, result int64, rest []byte, err error) {
	base, rest, ok := uvarint(delta)
	if ok {
		result, rest, ok = uvarint(rest)
	}
	if !ok {
		return 0, 0, nil, corrupt("delta header")
	}
	return base, result, rest, nil
}

func uvarint(data []byte) (value int64, rest []byte, ok bool) {
	for shift := uint(0); shift < 56 && len(data) > 0; shift += 7 {
		c := data[0]
		data = data[1:]
		value |= int64(c&0x7f) << shift
		if c&0x80 == 0 {
			return value, data, true
		}
	}
	return 0, nil, false
}

// Patch applies the instructions of a delta, what DeltaSizes left, to base and
// fills out exactly. It never reads or writes out of bounds, whatever they say.
func Patch(out, base, instructions []byte) error {
	for len(instructions) > 0 {
		op := instructions[0]
		instructions = instructions[1:]
		if op&0x80 == 0 {
			size := int(op)
			if size == 0 || size > len(instructions) || size > len(out) {
				return corrupt("delta insert")
			}
			copy(out, instructions[:size])
			out, instructions = out[size:], instructions[size:]
			continue
		}
		at, size, rest, ok := copyOp(op, instructions)
		if !ok || at+size > uint64(len(base)) || size > uint64(len(out)) {
			return corrupt("delta copy out of range")
		}
		copy(out, base[at:at+size])
		out, instructions = out[size:], rest
	}
	if len(out) != 0 {
		return corrupt("delta result is too short")
	}
	return nil
}

// copyOp decodes a copy: bits 0–3 of op say which bytes of the offset follow,
// bits 4–6 which of the size.
func copyOp(op byte, data []byte) (at, size uint64, rest []byte, ok bool) {
	var value uint64
	for bit := range uint(7) {
		if op>>bit&1 == 0 {
			continue
		}
		if len(data) == 0 {
			return 0, 0, nil, false
		}
		value |= uint64(data[0]) << (8 * bit)
		data = data[1:]
	}
	at, size = value&0xffffffff, value>>32
	if size == 0 {
		size = 0x10000
	}
	return at, size, data, true
}
