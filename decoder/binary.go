package decoder

import "nightlatch/decoder/walk"

func (p *peel) binary(data []byte, at *walk.Step, whole bool) bool { return false }

func (p *peel) structured(data []byte) bool { return false }

func (p *peel) binaryLeaf(l walk.Leaf) {}
