package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

const archiveType = "application/zstd"

// backupPatience is how long a reader may take nothing of an archive.
const backupPatience = 2 * time.Minute

func (s *server) backups(routes huma.API) {
	take := operation(http.MethodPost, adminPrefix+"/backup", "take-backup", "Take a backup of the platform", models.PlatformManage)
	take.Description = "Answers with an archive of the database, the repositories, the keys and the logs, while Sky runs. " +
		"Its last member are checksums: an archive without them was cut off. It holds the master key unless without_keys is set."
	take.Responses = map[string]*huma.Response{"200": {
		Description: "A tar under zstd",
		Content:     map[string]*huma.MediaType{archiveType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}}
	huma.Register(routes, take, s.takeBackup)
}

func (s *server) takeBackup(ctx context.Context, input *body[v1.NewBackup]) (*huma.StreamResponse, error) {
	options := platform.BackupOptions{WithoutKeys: input.Body.WithoutKeys, WithoutLogs: input.Body.WithoutLogs, WithoutImages: input.Body.WithoutImages}
	backup, err := s.Backups.Begin(ctx, actor(ctx), options)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return &huma.StreamResponse{Body: func(stream huma.Context) { s.sendBackup(stream, backup) }}, nil
}

// sendBackup streams the archive. The status is sent already, so that all it can
// do about a failure is to break the connection.
func (s *server) sendBackup(stream huma.Context, backup *platform.Backup) {
	stream.SetHeader("Content-Type", archiveType)
	stream.SetHeader("Cache-Control", "no-store")
	to := patientWriter{writer: humagin.Unwrap(stream).Writer}
	to.control = http.NewResponseController(to.writer)
	deadline := time.Time{} // none, for what comes next on the connection
	if err := backup.Write(stream.Context(), to); err != nil {
		s.Log.Warn("backup cut off", "error", err)
		deadline = time.Unix(1, 0)
	}
	if err := to.control.SetWriteDeadline(deadline); err != nil {
		s.Log.Warn("backup: set deadline", "error", err)
	}
	if err := backup.Close(); err != nil {
		s.Log.Warn("backup: tidy up", "error", err)
	}
}

// patientWriter gives its reader backupPatience for each write.
type patientWriter struct {
	writer  http.ResponseWriter
	control *http.ResponseController
}

// Write implements io.Writer.
func (w patientWriter) Write(data []byte) (int, error) {
	if err := w.control.SetWriteDeadline(time.Now().Add(backupPatience)); err != nil {
		return 0, err
	}
	return w.writer.Write(data)
}
