package main

import "go.yaml.in/yaml/v3"

// plainBroker turns the older form of the broker's keys,
//
//	broker: {type: redis, redis: {…}}
//
// into the one that Config has: broker: redis and a section redis beside it. The
// embedded broker's older name is memory. Anything else stays, and is an error.
func plainBroker(root *yaml.Node) {
	if root.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		name, broker := root.Content[i], root.Content[i+1]
		if name.Value != "broker" || broker.Kind != yaml.MappingNode {
			continue
		}
		var kind *yaml.Node
		var moved []*yaml.Node
		for j := 0; j+1 < len(broker.Content); j += 2 {
			switch key, value := broker.Content[j], broker.Content[j+1]; {
			case key.Value == "type" && kind == nil && value.Kind == yaml.ScalarNode:
				kind = value
			case key.Value == "redis" && moved == nil:
				moved = []*yaml.Node{key, value}
			default:
				return
			}
		}
		if kind == nil {
			return
		}
		if kind.Value == "memory" {
			embedded := *kind
			embedded.Value = "embedded"
			kind = &embedded
		}
		root.Content[i+1] = kind
		root.Content = append(root.Content, moved...)
		return
	}
}
