package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// described is what `example` reads of an operation in the OpenAPI document.
type described struct {
	method, path string
	body         map[string]any
	document     map[string]any
}

// example OPERATION TOKEN-FILE [NAME=VALUE ...]: writes request.curl, with which
// `curl -K request.curl` asks for the operation as the served OpenAPI document
// describes it. Path parameters and fields of the body that are not given have
// the document's examples.
func cmdExample(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: example OPERATION TOKEN-FILE [NAME=VALUE ...]")
	}
	operation, err := describe("http://"+ts.Getenv("HTTP_ADDR"), args[0])
	ts.Check(err)
	path := operation.path
	body := operation.example()
	for _, arg := range args[2:] {
		name, value, _ := strings.Cut(arg, "=")
		if strings.Contains(path, "{"+name+"}") {
			path = strings.ReplaceAll(path, "{"+name+"}", value)
			continue
		}
		body[name] = value
	}
	lines := []string{
		"silent", fmt.Sprintf("request = %q", operation.method), fmt.Sprintf("url = %q", "http://"+ts.Getenv("HTTP_ADDR")+path),
		fmt.Sprintf("header = %q", "Authorization: Bearer "+strings.TrimSpace(ts.ReadFile(args[1]))),
		`write-out = "\n%{http_code}\n"`,
	}
	if operation.body != nil {
		text, err := json.Marshal(body)
		ts.Check(err)
		lines = append(lines, `header = "Content-Type: application/json"`, fmt.Sprintf("data = %q", string(text)))
	}
	ts.Check(os.WriteFile(ts.MkAbs("request.curl"), []byte(strings.Join(lines, "\n")+"\n"), 0o600))
}

// describe finds an operation in the document that the server has.
func describe(server, id string) (described, error) {
	answer, err := http.Get(server + "/api/openapi.json")
	if err != nil {
		return described{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return described{}, err
	}
	document := map[string]any{}
	if err := json.Unmarshal(text, &document); err != nil {
		return described{}, err
	}
	for path, methods := range document["paths"].(map[string]any) {
		for method, value := range methods.(map[string]any) {
			operation := value.(map[string]any)
			if operation["operationId"] != id {
				continue
			}
			found := described{method: strings.ToUpper(method), path: path, document: document}
			if body, ok := operation["requestBody"].(map[string]any); ok {
				content := body["content"].(map[string]any)["application/json"].(map[string]any)
				found.body = found.resolve(content["schema"].(map[string]any))
			}
			return found, nil
		}
	}
	return described{}, fmt.Errorf("the document has no operation %q", id)
}

func (d described) resolve(schema map[string]any) map[string]any {
	ref, ok := schema["$ref"].(string)
	if !ok {
		return schema
	}
	part := any(d.document)
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		part = part.(map[string]any)[name]
	}
	return part.(map[string]any)
}

// example is the body that the document's examples make.
func (d described) example() map[string]any {
	body := map[string]any{}
	properties, _ := d.body["properties"].(map[string]any)
	for name, value := range properties {
		if examples, ok := value.(map[string]any)["examples"].([]any); ok && len(examples) > 0 {
			body[name] = examples[0]
		}
	}
	return body
}
