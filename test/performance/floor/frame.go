package main

import (
	"encoding/binary"
	"encoding/json"
)

// command is what a client sends.
type command struct {
	Type    string `json:"type"`
	Room    string `json:"room"`
	Content string `json:"content"`
}

// chat is what members are sent.
type chat struct {
	Event   string `json:"event"`
	From    string `json:"from"`
	Room    string `json:"room"`
	Content string `json:"content"`
}

// joinedEvent answers join_room.
type joinedEvent struct {
	Event string `json:"event"`
	Room  string `json:"room"`
}

// message is one delivery, shared by all who get it: the payload, and the whole
// frame of a server around it. Neither is changed.
type message struct {
	payload []byte
	frame   []byte
}

func newMessage(from string, c *command) (*message, error) {
	payload, err := json.Marshal(chat{"chat", from, c.Room, c.Content})
	if err != nil {
		return nil, err
	}
	return &message{payload: payload, frame: appendFrame(make([]byte, 0, len(payload)+10), payload)}, nil
}

// appendFrame appends a final, unmasked text frame (RFC 6455, 5.2).
func appendFrame(b, payload []byte) []byte {
	b = append(b, 0x81)
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}
