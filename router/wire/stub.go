package wire

// CodeOf is the word for a code of the plugin ABI.
func CodeOf(n uint32) Code { return BadRequest }

// HTTPStatus is the status of a connect that was refused with the code.
func (c Code) HTTPStatus() int { return 403 }

// ParseCode …

// Decoder decodes commands. The zero value is ready. Not safe for concurrent use.
type Decoder struct{ scratch []byte }

// Decode reads one frame into c. The error is a *Error, owned by the decoder
// until its next use.
func (d *Decoder) Decode(frame []byte, c *Command) *Error { return nil }

// CheckName says what is wrong with a room or user name; "" if nothing is.
func CheckName(name []byte) (reason string) { return "" }

// CheckJSON says what is wrong with b as one JSON value (RFC 8259, UTF-8, at
// most MaxDepth deep); "" if nothing is. It does not allocate when b is valid.
func CheckJSON(b []byte) (reason string) { return "" }

func AppendWelcome(dst []byte, e *Welcome) []byte           { return dst }
func AppendDelivery(dst []byte, e *Delivery) []byte         { return dst }
func AppendAck(dst []byte, e *Acknowledgement) []byte       { return dst }
func AppendJoined(dst []byte, e *RoomJoined) []byte         { return dst }
func AppendLeft(dst, id []byte, room, reason string) []byte { return dst }
func AppendPresence(dst []byte, e *PresencePage) []byte     { return dst }
func AppendError(dst []byte, e *Refusal) []byte             { return dst }

// AppendUserEvent appends user_joined and user_left (with a room),
// user_connected and user_disconnected (without).
func AppendUserEvent(dst []byte, event, user string, info []byte, room string) []byte { return dst }

// AppendGap appends gap; epoch "" and offset 0 are absent.
func AppendGap(dst []byte, room, epoch string, offset uint64) []byte { return dst }

// AppendPing and AppendPong append the application heartbeat.
func AppendPing(dst []byte) []byte     { return dst }
func AppendPong(dst, id []byte) []byte { return dst }
