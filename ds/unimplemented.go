package ds

import (
	"context"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// unimplemented answers the methods that are still to come.
type unimplemented struct{}

func (unimplemented) none() error {
	return quicrpc.Errorf(quicrpc.CodeUnimplemented, "this server does not have the method yet")
}

func (u unimplemented) ReportCommit(context.Context, schemas.DeliveryService_reportCommit) error {
	return u.none()
}
