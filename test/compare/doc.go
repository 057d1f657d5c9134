// Package compare holds one policy, "no message with this word", against
// itself: as a filter of this project, and by the other means that teams use
// for it. It is a module of its own, so that the products that it compares with
// are no dependencies of a node.
package compare
