// Package sim runs the delivery service on its real store in virtual time (testing/synctest): people whose connections break, whose answers get lost and whose
// messages are late, and a server that crashes in the middle of a sync, or when it rests, and loses any part of what it had not synced, or ends in good order. They send by calls, or over SUBMIT streams, many frames at a time. All chance comes from one seed:
//
//	go test ./ds/sim -seed 17        that one history
//	go test ./ds/sim -seeds 200      so many, as CI does
//
// Nobody encrypts: a message is the header that the service reads, and behind it what the simulation has to know (message).
package sim
