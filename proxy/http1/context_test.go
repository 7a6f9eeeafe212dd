package http1

import (
	"context"
	"errors"
	"testing"
)

// TestConnContext: a connection's context ends with it, and with the engine's,
// whether or not anybody had waited for it before.
func TestConnContext(t *testing.T) {
	type key struct{}
	for _, waited := range []bool{false, true} {
		for _, outer := range []bool{false, true} {
			parent, cancelParent := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
			defer cancelParent()
			c := &connContext{parent: parent}
			contexts := map[string]context.Context{"its own": c}
			derive := func(name string) {
				ctx, cancel := context.WithCancel(c)
				t.Cleanup(cancel)
				contexts[name] = ctx
			}
			if waited {
				derive("one made before")
			}
			if c.Err() != nil || c.Value(key{}) != "value" {
				t.Errorf("waited %v: got %v, %v", waited, c.Err(), c.Value(key{}))
			}
			if outer {
				cancelParent()
			} else {
				c.end()
			}
			if !errors.Is(c.Err(), context.Canceled) {
				t.Errorf("waited %v, outer %v: the error is %v at once", waited, outer, c.Err())
			}
			derive("one made afterwards")
			for name, ctx := range contexts {
				<-ctx.Done()
				if !errors.Is(ctx.Err(), context.Canceled) {
					t.Errorf("waited %v, outer %v: the error of %s is %v", waited, outer, name, ctx.Err())
				}
			}
		}
	}
}
