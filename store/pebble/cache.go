package pebble

import "container/list"

// lru holds what the committer used most recently. Entries that a batch changed are dirty, and stay until the batch is written;
// trim then brings it down to size. It has one owner, the committer.
type lru[K comparable, V any] struct {
	size    int
	entries map[K]*list.Element
	order   *list.List // front: most recent
	dirty   []*entry[K, V]
}

type entry[K comparable, V any] struct {
	key   K
	value V
	dirty bool
}

func newLRU[K comparable, V any](size int) *lru[K, V] {
	return &lru[K, V]{size: size, entries: make(map[K]*list.Element), order: list.New()}
}

func (c *lru[K, V]) get(k K) *entry[K, V] {
	el, ok := c.entries[k]
	if !ok {
		return nil
	}
	c.order.MoveToFront(el)
	return el.Value.(*entry[K, V])
}

func (c *lru[K, V]) add(k K, v V) *entry[K, V] {
	e := &entry[K, V]{key: k, value: v}
	c.entries[k] = c.order.PushFront(e)
	return e
}

func (c *lru[K, V]) mark(e *entry[K, V]) {
	if !e.dirty {
		e.dirty = true
		c.dirty = append(c.dirty, e)
	}
}

// remove forgets k; a change that is not yet written is dropped with it.
func (c *lru[K, V]) remove(k K) {
	if el, ok := c.entries[k]; ok {
		e := el.Value.(*entry[K, V])
		if e.dirty {
			e.dirty = false
			for i, d := range c.dirty {
				if d == e {
					c.dirty = append(c.dirty[:i], c.dirty[i+1:]...)
					break
				}
			}
		}
		c.order.Remove(el)
		delete(c.entries, k)
	}
}

// clean calls write for every dirty entry.
func (c *lru[K, V]) clean(write func(*entry[K, V])) {
	for i, e := range c.dirty {
		write(e)
		e.dirty = false
		c.dirty[i] = nil
	}
	c.dirty = c.dirty[:0]
}

func (c *lru[K, V]) trim() {
	for len(c.entries) > c.size {
		el := c.order.Back()
		c.order.Remove(el)
		delete(c.entries, el.Value.(*entry[K, V]).key)
	}
}
