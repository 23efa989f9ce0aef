package v1

import (
	"context"
	"io"
	"net/http"
)

// NewBackup says what a backup is to leave out.
type NewBackup struct {
	WithoutKeys   bool `json:"without_keys,omitempty" doc:"Leave out the master key, the git server's host keys and the first admin's token"`
	WithoutLogs   bool `json:"without_logs,omitempty" doc:"Leave out the logs of builds and apps"`
	WithoutImages bool `json:"without_images,omitempty" doc:"Leave out the images that nodes pull"`
}

// Backup takes a backup, for an admin of the platform. The archive is read while
// it is made, and must be closed. A connection that broke may look like its end:
// check that it is whole before you rely on it.
func (c *Client) Backup(ctx context.Context, options NewBackup) (io.ReadCloser, error) {
	answer, err := c.send(ctx, http.MethodPost, admin+"/backup", options)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}
