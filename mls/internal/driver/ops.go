package main

import (
	"encoding/json"
	"fmt"
)

// ops are all operations. Those of the second block are not known to every
// driver of the protocol.
var ops = map[string]handler{
	"close":                    as(closeClient),
	"key_package":              as(keyPackageOp),
	"create_group":             as(createGroup),
	"join":                     as(join),
	"group_info":               in(groupInfo),
	"external_join":            as(externalJoin),
	"protect":                  in(protect),
	"process":                  as(process),
	"export":                   in(export),
	"state":                    in(state),
	"psk_register":             as(pskRegister),
	"propose_add":              propose("add"),
	"propose_remove":           propose("remove"),
	"propose_psk":              propose("psk"),
	"add":                      in(commitAdd),
	"remove":                   in(commitRemove),
	"update":                   in(commitUpdate),
	"psk":                      in(commitPSK),
	"commit_pending":           in(commitPending),
	"merge_pending":            in(mergePending),
	"group_context_extensions": in(commitExtensions),

	"propose_update":                   in(proposeUpdate),
	"propose_resumption_psk":           propose("resumption_psk"),
	"propose_group_context_extensions": propose("group_context_extensions"),
	"propose_reinit":                   propose("reinit"),
	"propose_external_sender":          in(proposeExternalSender),
	"commit":                           in(commitListed),
	"reinit_key_package":               in(reinitKeyPackage),
	"reinit_create":                    in(reinitCreate),
	"reinit_join":                      in(reinitJoin),
	"branch":                           in(branch),
	"branch_join":                      in(branchJoin),
	"new_member_add":                   as(newMemberAdd),
	"external_sender":                  as(externalSender),
	"external_propose":                 as(externalPropose),
}

// The two that need no client; apart, for version lists the others.
func init() {
	ops["version"] = on(version)
	ops["new"] = on(newClient)
}

// maxOpEcho is how much of an unknown operation's name an error repeats.
const maxOpEcho = 64

// handle answers one request.
func (d *driver) handle(line []byte) (answer, error) {
	var e envelope
	if err := json.Unmarshal(line, &e); err != nil {
		return nil, fmt.Errorf("bad request: %w", err)
	}
	h, ok := ops[e.Op]
	if !ok {
		return nil, fmt.Errorf("unknown op %.*s", maxOpEcho, e.Op)
	}
	return h(d, &e, line)
}
