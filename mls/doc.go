// Package mls is Messaging Layer Security, RFC 9420 ("R" in these comments):
// end-to-end encryption for groups of two to many thousand members.
//
// A client has an [Identity]. It publishes KeyPackages ([NewKeyPackage]), with
// which others add it to a [Group]; it joins with the Welcome that it is sent
// ([Join]). Members encrypt with [Group.Protect] and hand everything that they
// receive to [Group.Process]. A change of the group is a commit: [Group.Commit]
// stages one, [Group.MergePending] makes it real once the delivery service has
// accepted it, [Group.DiscardPending] drops it when another commit won.
//
// Bytes go in and bytes come out; all messages are MLSMessage structures, and
// KeyPackages are taken raw or wrapped in one. Nothing here does I/O: what must
// be stored is handed out as records by [Group.Changes].
//
// # Rules that hold everywhere
//
// A call that fails has no effect on the group. No value here is safe for
// concurrent use; different groups may be used at the same time.
//
// State must be saved ([Group.Changes]) before a message that was made from it
// is sent, and before a received one is acknowledged: a state that is restored
// from before a message was encrypted would use its key twice.
//
// Errors wrap the sentinel values of this package, to be tested with
// [errors.Is].
package mls
