package bench

import "strings"

// advices are what to do about a refusal or a close, by its code.
var advices = map[string]string{
	"unauthorized":       "the node wants to know who connects: add --key-config config.yaml to sign tokens with its key, or --token, or --token-file",
	"http_401":           "the server wants to know who connects: add --key-config config.yaml, --token or --token-file",
	"forbidden":          "what these users may do does not include it: give them grants (--grants with --key-config), or choose rooms they may join with --room-prefix",
	"http_403":           "the server does not allow it; if it says something of an origin or host, add this name to allowed_origins, or connect to 127.0.0.1",
	"not_found":          "there is no such path; the endpoint of a node is /ws of its listener for clients, not of that for operators",
	"http_404":           "there is no such path; the endpoint of a node is /ws",
	"http_400":           "the server takes the request for no WebSocket handshake; check the path, and whether a proxy passes Upgrade on",
	"http_426":           "the server takes the request for no WebSocket handshake; check whether a proxy passes Upgrade on",
	"http_502":           "the proxy does not reach the node",
	"http_503":           "the server has no place, or is shutting down",
	"http_504":           "the proxy does not reach the node in time",
	"rate_limited":       "a limit of the node or a rate filter: lower --rate, --connect-rate or --connections, or raise limits.handshakes_per_address, limits.connections_per_user or the filter's rate for the test",
	"http_429":           "a limit of the server or a proxy before it: lower --connect-rate or --concurrency, or raise the limit",
	"too_large":          "lower --size, or raise limits.frame or the size filter's max_bytes",
	"1009":               "the frame is larger than limits.frame allows: lower --size",
	"invalid":            "a filter does not accept the content: choose its shape with --content or --payload-file",
	"bad_request":        "the node does not understand the command: its version may not fit this one's",
	"unavailable":        "the node is at limits.connections, is shutting down, or a filter or Redis does not answer; its log says which",
	"connection_refused": "nobody listens there: start a node (sluice serve), or check --url",
	"unreachable":        "there is no way to that address: check --url and the network",
	"timeout":            "no answer in time: the server is overloaded or not there; lower --concurrency or --connections, or raise --connect-timeout",
	"bad_answer":         "that is no WebSocket server: check the port and path of --url, and ws against wss",
	"eof":                "the server went away without a word; its log may say why",
	"reset":              "the server went away without a word, or has no file descriptors left; its log may say why",
	"protocol_error":     "what is between this client and the node changes what is sent",
	"certificate":        "the server's certificate is not one that this machine trusts: set SSL_CERT_FILE to the authority's, and use the name it was made for",
	"left":               "the node ended a membership; its log says why",
	"slow":               "the node dropped messages for members that read too slowly: this client, or the network, does not keep up",
	"lost":               "the node says itself that it lost messages: its connection to Redis failed",
	"possible_gap":       "the node was cut off from Redis and cannot know whether it missed anything",
	"4001":               "the token is not valid, or was revoked",
	"4003":               "the user is not allowed, or was revoked",
	"4008":               "the node's policy, or a filter, ended the connection; its log says why",
	"4100":               "this client, or the network, does not read as fast as the node sends: lower --rate or --window, or raise limits.queue",
	"4101":               "too many requests, or the node is not available",
	"4102":               "the node did not hear an answer to its ping in time: this client or the machine is overloaded",
	"4200":               "the node is shutting down",
	"4201":               "the tokens expired during the run: use ones that are valid for longer",
}

// advice is what to do about a cause; "" if that is not known.
func advice(cause string) string {
	if hint, ok := advices[cause]; ok {
		return hint
	}
	if strings.HasPrefix(cause, "filter_") {
		return "a filter of the node refuses it; see what it is for"
	}
	return ""
}
