// Package ds is the delivery service: durable store-and-forward queues with push (schemas/delivery.capnp, schemas/envelope.capnp).
//
// Senders call enqueue or enqueueMany. A recipient calls listen once; from then on a listener of this package, one a connection, hears
// of news from the store and pushes each queue over a PUSH stream of its own, within a window that the recipient's cumulative acknowledgements
// move on. Streams are opened when there is something to send and closed when all is acknowledged and nothing came for a while, so a
// connection that waits costs one goroutine. A stuck or slow stream holds up no other.
//
// Delivery is at least once, in order within a queue, from the cursor on; a message goes when it is acknowledged.
package ds
