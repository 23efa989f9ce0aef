package buildpipeline

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/docker/docker/api/types/image"
)

// Destination is a registry that the engine reaches.
type Destination struct {
	Address string // host and port
	Secret  string // its password
}

// Publish pushes an image into a repository of a registry and returns the digest
// of its manifest, by which it is pulled. What the registry has already is not sent.
func (b *Builder) Publish(ctx context.Context, id, repository string, to Destination) (manifest string, err error) {
	name := fmt.Sprintf("%s/%s:%.12s", to.Address, repository, id[len(id)-12:])
	if err := b.docker.ImageTag(ctx, id, name); err != nil {
		return "", fmt.Errorf("name image: %w", err)
	}
	defer func() {
		_, removed := b.docker.ImageRemove(context.WithoutCancel(ctx), name, image.RemoveOptions{})
		err = errors.Join(err, removed)
	}()
	credentials, err := json.Marshal(map[string]string{"username": "sky", "password": to.Secret})
	if err != nil {
		return "", fmt.Errorf("encode credentials: %w", err)
	}
	progress, err := b.docker.ImagePush(ctx, name, image.PushOptions{RegistryAuth: base64.URLEncoding.EncodeToString(credentials)})
	if err != nil {
		return "", fmt.Errorf("push image: %w", err)
	}
	defer progress.Close()
	return pushedManifest(progress)
}

// pushedManifest reads the progress of a push to its end.
func pushedManifest(progress io.Reader) (manifest string, err error) {
	for decoder := json.NewDecoder(progress); ; {
		entry := struct {
			Error string `json:"error"`
			Aux   struct {
				Digest string `json:"Digest"`
			} `json:"aux"`
		}{}
		if err := decoder.Decode(&entry); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return "", fmt.Errorf("push image: %w", err)
		}
		if entry.Error != "" {
			return "", fmt.Errorf("push image: %s", entry.Error)
		}
		if entry.Aux.Digest != "" {
			manifest = entry.Aux.Digest
		}
	}
	if manifest == "" {
		return "", errors.New("push image: the engine named no digest")
	}
	return manifest, nil
}
