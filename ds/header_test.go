package ds

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// mlsHeader is the beginning of an MLSMessage; sender is of a PublicMessage.
func mlsHeader(format wireFormat, group string, epoch uint64, content contentType, sender ...byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0, 1}, uint16(format))
	if format == groupInfo {
		b = append(b, 0, 1, 0, 1)
	}
	if len(group) >= 64 {
		b = append(b, 0x40|byte(len(group)>>8))
	}
	b = append(append(b, byte(len(group))), group...)
	b = binary.BigEndian.AppendUint64(b, epoch)
	switch format {
	case groupInfo:
		return append(b, "and so on"...)
	case publicMessage:
		b = append(b, sender...)
		b = append(b, 3, 'a', 'a', 'd')
	}
	return append(append(b, byte(content)), "and so on"...)
}

var welcomeText = []byte{0, 1, 0, 3, 0, 1, 'w'}

func TestHeader(t *testing.T) {
	long := strings.Repeat("g", 64)
	for name, c := range map[string]struct {
		b    []byte
		want header
	}{
		"application":    {mlsHeader(privateMessage, "group", 7, application), header{privateMessage, []byte("group"), 7, application, false}},
		"proposal":       {mlsHeader(privateMessage, long, 1<<63, proposal), header{privateMessage, []byte(long), 1 << 63, proposal, false}},
		"commit":         {mlsHeader(publicMessage, "g", 0, commit, 1, 0, 0, 0, 9), header{publicMessage, []byte("g"), 0, commit, false}},
		"external":       {mlsHeader(publicMessage, "g", 0, commit, 4), header{publicMessage, []byte("g"), 0, commit, true}},
		"new member":     {mlsHeader(publicMessage, "g", 0, proposal, 3), header{publicMessage, []byte("g"), 0, proposal, true}},
		"from outside":   {mlsHeader(publicMessage, "g", 0, proposal, 2, 0, 0, 0, 0), header{publicMessage, []byte("g"), 0, proposal, false}},
		"GroupInfo":      {mlsHeader(groupInfo, "g", 3, 0), header{groupInfo, []byte("g"), 3, 0, false}},
		"Welcome":        {welcomeText, header{format: welcome}},
		"empty":          {nil, header{}},
		"version":        {[]byte{0, 2, 0, 3}, header{}},
		"KeyPackage":     {[]byte{0, 1, 0, 5, 1, 2, 3}, header{}},
		"content":        {mlsHeader(privateMessage, "g", 0, 4), header{}},
		"no content":     {mlsHeader(privateMessage, "g", 0, application)[:14], header{}},
		"sender":         {mlsHeader(publicMessage, "g", 0, commit, 5), header{}},
		"long length":    {append([]byte{0, 1, 0, 2, 0x40, 5}, "group and so on"...), header{}},
		"length of 8":    {append([]byte{0, 1, 0, 2, 0xc0, 0, 0, 0, 0, 0, 0, 1}, "g and so on....."...), header{}},
		"beyond its end": {[]byte{0, 1, 0, 2, 0xbf, 0xff, 0xff, 0xff, 1}, header{}},
	} {
		h, err := readHeader(c.b)
		if c.want.format == 0 {
			if !errors.Is(err, errHeader) {
				t.Errorf("%s: %+v, %v", name, h, err)
			}
			continue
		}
		if err != nil || h.format != c.want.format || !bytes.Equal(h.group, c.want.group) || h.epoch != c.want.epoch || h.content != c.want.content || h.newcomer != c.want.newcomer {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
}

// FuzzHeader: what is read of a header says that header, written anew.
func FuzzHeader(f *testing.F) {
	f.Add(mlsHeader(privateMessage, "group", 7, application))
	f.Add(mlsHeader(publicMessage, "group", 7, commit, 1, 0, 0, 0, 9))
	f.Add(mlsHeader(groupInfo, "group", 7, 0))
	f.Add(welcomeText)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHeader(b)
		if err != nil {
			if h.group != nil || h.format != 0 {
				t.Fatalf("%+v with %v", h, err)
			}
			return
		}
		if h.format == privateMessage && len(h.group) < 1<<14 {
			again := mlsHeader(h.format, string(h.group), h.epoch, h.content)
			if n := len(again) - len("and so on"); !bytes.Equal(again[:n], b[:n]) {
				t.Fatalf("%x was read as %+v", b, h)
			}
		}
	})
}
