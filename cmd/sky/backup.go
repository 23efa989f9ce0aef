package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/gitserver"
	"github.com/skypanel/sky/internal/durable"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
	"github.com/spf13/cobra"
)

func (c *cli) adminBackup() *cobra.Command {
	options := v1.NewBackup{}
	command := &cobra.Command{
		Use: "backup FILE", Short: "Back up the whole platform while it runs", Args: cobra.ExactArgs(1),
		Long: "Take a backup of the server that you are logged in to: database, repositories, keys and logs.\n" +
			"FILE may be - for standard output. Whoever has it has the platform's master key, unless it is\n" +
			"--without-keys. Pushes and deployments go on meanwhile.",
		Example: "  sky admin backup sky-$(date +%F).backup\n  sky admin backup --without-keys - | ssh store 'cat > sky.backup'",
		RunE: func(command *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			archive, err := client.Backup(command.Context(), options)
			if err != nil {
				return err
			}
			defer archive.Close()
			return c.keepBackup(archive, args[0])
		},
	}
	command.Flags().BoolVar(&options.WithoutKeys, "without-keys", false, "leave out the master key and the git server's host keys")
	command.Flags().BoolVar(&options.WithoutImages, "without-images", false, "leave out the images that nodes pull")
	command.Flags().BoolVar(&options.WithoutLogs, "without-logs", false, "leave out the logs of builds and apps")
	return command
}

// keptBackup is what `sky admin backup` tells.
type keptBackup struct {
	platform.Manifest
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

// keepBackup writes the archive as it comes, and verifies it on the way.
func (c *cli) keepBackup(archive io.Reader, path string) error {
	if path == "-" {
		_, err := copyVerified(c.out, archive)
		return err
	}
	kept := keptBackup{File: path}
	err := writeDurably(path, func(file *os.File) error {
		var err error
		if kept.Manifest, err = copyVerified(file, archive); err != nil {
			return err
		}
		kept.Bytes, err = file.Seek(0, io.SeekEnd)
		return err
	})
	if err != nil {
		return err
	}
	return c.show(kept, func() {
		fmt.Fprintf(c.out, "%s: %d apps, %d KB, verified\n", path, kept.Apps, (kept.Bytes+1023)>>10)
		if kept.Keys {
			fmt.Fprintln(c.out, "it holds the master key: keep it like one")
		}
	})
}

// copyVerified copies an archive and reads it as a restore would. A server that
// fails after it began can only break the connection, which may look like an end.
func copyVerified(to io.Writer, archive io.Reader) (platform.Manifest, error) {
	reader, writer := io.Pipe()
	copied := make(chan error, 1)
	go func() {
		_, err := io.Copy(to, io.TeeReader(archive, writer))
		writer.CloseWithError(err)
		copied <- err
	}()
	manifest, err := platform.VerifyArchive(reader)
	_ = reader.CloseWithError(err) // a pipe's reader closes without fail
	if failed := <-copied; failed != nil && (err == nil || !errors.Is(failed, err)) {
		return manifest, fmt.Errorf("receive the backup: %w", failed)
	}
	if models.IsCode(err, models.Invalid) {
		return manifest, models.Errorf(models.Unavailable, "the backup did not arrive whole").
			WithRemedy("try again; the server's log says why it was cut off")
	}
	return manifest, err
}

// writeDurably makes the file at path, for its owner only, of what fill writes
// into it. When it returns an error, whatever was there before still is.
func writeDurably(path string, fill func(*os.File) error) error {
	fresh, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp") // 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = fill(fresh)
	if err == nil {
		err = fresh.Sync()
	}
	if err = errors.Join(err, fresh.Close()); err == nil {
		err = os.Rename(fresh.Name(), path)
	}
	if err != nil {
		return errors.Join(err, ignore(os.Remove(fresh.Name()), os.ErrNotExist))
	}
	return durable.SyncDir(filepath.Dir(path))
}

func (c *cli) adminRestore() *cobra.Command {
	restore := platform.Restore{}
	command := &cobra.Command{
		Use: "restore FILE", Short: "Restore a backup on a machine where Sky has nothing yet", Args: cobra.ExactArgs(1),
		Long: "Restore a backup into an empty data directory and, with --database-url, an empty PostgreSQL.\n" +
			"No server is asked: run it as the user that will run Sky. FILE may be - for standard input.\n" +
			"A backup of either database can be restored into the other.",
		Example: "  sky admin restore sky.backup --data-dir /var/lib/sky && sky up",
		RunE: func(command *cobra.Command, args []string) error {
			archive := io.NopCloser(c.in)
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("open the backup: %w", err)
				}
				archive = file
			}
			defer archive.Close()
			manifest, err := restore.Run(command.Context(), archive)
			if err != nil {
				return err
			}
			return c.show(manifest, func() { c.tellRestored(restore, manifest) })
		},
	}
	flags := command.Flags()
	flags.StringVar(&restore.DataDir, "data-dir", defaultDataDir(), "where Sky is to keep everything; empty, or not there yet")
	flags.StringVar(&restore.DatabaseURL, "database-url", os.Getenv("DATABASE_URL"), "an empty PostgreSQL; without it SQLite in the data directory")
	flags.StringVar(&restore.KeysDir, "keys", "", "copy of a data directory's keys/, for a backup that was made without")
	return command
}

func (c *cli) tellRestored(restore platform.Restore, manifest platform.Manifest) {
	fmt.Fprintf(c.out, "restored %d apps as of %s into %s\n", manifest.Apps, manifest.Time.Format("2006-01-02 15:04:05 MST"), restore.DataDir)
	fmt.Fprintln(c.out, "images of the old machine's Docker are not in a backup: an app whose image this machine's lacks needs another push to run here")
}

// snapshots lets backups copy the repositories.
type snapshots struct{ *gitserver.Repositories }

// Freeze implements platform.Snapshots.
func (s snapshots) Freeze(ctx context.Context) (platform.Snapshot, error) {
	snapshot, err := s.Repositories.Freeze(ctx)
	if err != nil {
		return nil, err
	}
	return snapshot, nil
}
