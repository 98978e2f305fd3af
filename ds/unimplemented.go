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

func (u unimplemented) PutBlob(context.Context, schemas.DeliveryService_putBlob) error {
	return u.none()
}
func (u unimplemented) GetBlob(context.Context, schemas.DeliveryService_getBlob) error {
	return u.none()
}
