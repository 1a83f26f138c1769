package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strings"
)

const dataPrefix = "/rest/com/vmware/cis/data/"

// libraryFile is a file that an update session announced. The simulator keeps neither sizes nor checksums.
type libraryFile struct {
	Name     string `json:"name"`
	Size     int64  `json:"size"`
	Checksum struct {
		Algorithm string `json:"algorithm"`
		Checksum  string `json:"checksum"`
	} `json:"checksum_info"`
	session string
	arrived bool
}

// guardedREST are the privileges of the content library's calls.
var guardedREST = map[string]string{
	"POST content/library/item":                           "ContentLibrary.AddLibraryItem",
	"PATCH content/library/item/id":                       "ContentLibrary.UpdateLibraryItem",
	"DELETE content/library/item/id":                      "ContentLibrary.DeleteLibraryItem",
	"POST content/library/item/update-session":            "ContentLibrary.UpdateSession",
	"POST content/library/item/updatesession/file/id?add": "ContentLibrary.UpdateSession",
}

func (f *front) serveREST(answer http.ResponseWriter, request *http.Request, method string, body []byte) {
	if method == "POST cis/session" {
		if name, secret, _ := request.BasicAuth(); name != user || secret != password {
			restError(answer, http.StatusUnauthorized, "unauthenticated", "wrong user or password")
			return
		}
	}
	if privilege, ok := guardedREST[method]; ok && f.world.missing(privilege) != "" {
		restError(answer, http.StatusForbidden, "unauthorized", "the privilege "+privilege+" is missing")
		return
	}
	if method == "UploadFile" {
		f.receiveFile(answer, request)
		return
	}
	session := strings.TrimPrefix(path.Base(request.URL.Path), "id:")
	if method == "POST content/library/item/update-session/id?complete" {
		if problem := f.incomplete(session); problem != "" {
			restError(answer, http.StatusBadRequest, "not_allowed_in_current_state", problem)
			return
		}
	}
	recorder := httptest.NewRecorder()
	f.inner.ServeHTTP(recorder, request)
	content := bytes.ReplaceAll(recorder.Body.Bytes(), []byte("http://"+f.innerHost), []byte("https://"+f.outerHost))
	if recorder.Code == http.StatusOK {
		switch method {
		case "POST content/library/item/updatesession/file/id?add":
			f.announce(session, body, content)
		case "GET content/library/item/file":
			content = f.describe(content)
		}
	}
	for name, values := range recorder.Header() {
		answer.Header()[name] = values
	}
	answer.Header().Del("Content-Length")
	answer.WriteHeader(recorder.Code)
	_, _ = answer.Write(content)
}

// announce remembers what the session said about a file, under the identity of its upload.
func (f *front) announce(session string, body, content []byte) {
	var asked struct {
		File libraryFile `json:"file_spec"`
	}
	var given struct {
		Value struct {
			Endpoint struct {
				URI string `json:"uri"`
			} `json:"upload_endpoint"`
		} `json:"value"`
	}
	if json.Unmarshal(body, &asked) != nil || json.Unmarshal(content, &given) != nil {
		return
	}
	asked.File.session = session
	f.mu.Lock()
	defer f.mu.Unlock()
	f.items[path.Base(path.Dir(given.Value.Endpoint.URI))] = &asked.File
}

// receiveFile keeps an uploaded file when it is what was announced, and tells the simulator of it.
func (f *front) receiveFile(answer http.ResponseWriter, request *http.Request) {
	f.mu.Lock()
	file := f.items[path.Base(path.Dir(request.URL.Path))]
	f.mu.Unlock()
	if file == nil || path.Base(request.URL.Path) != file.Name {
		restError(answer, http.StatusNotFound, "not_found", "no session waits for this file")
		return
	}
	if err := f.keep(request, file); err != nil {
		restError(answer, http.StatusInternalServerError, "internal_server_error", err.Error())
		return
	}
	// Its content is of no use to the simulator, its arrival is.
	request.Body = io.NopCloser(strings.NewReader(""))
	f.inner.ServeHTTP(answer, request)
	f.mu.Lock()
	file.arrived = true
	f.mu.Unlock()
}

func (f *front) keep(request *http.Request, file *libraryFile) error {
	if request.ContentLength != file.Size {
		return fmt.Errorf("%d bytes were announced, %d are sent", file.Size, request.ContentLength)
	}
	target, err := f.world.diskPath("library", file.Name)
	if err == nil {
		err = receive(request, target)
	}
	if err != nil {
		return err
	}
	content, err := os.Open(target)
	if err != nil {
		return err
	}
	defer content.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, content); err != nil {
		return err
	}
	if file.Checksum.Algorithm != "SHA256" || hex.EncodeToString(digest.Sum(nil)) != file.Checksum.Checksum {
		return fmt.Errorf("the checksum of %s is wrong", file.Name)
	}
	if strings.HasSuffix(file.Name, ".vmdk") {
		return checkStream(target, 0)
	}
	return nil
}

// incomplete says what a session still waits for: each announced file, and a descriptor.
func (f *front) incomplete(session string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	descriptor := false
	for _, file := range f.items {
		if file.session != session {
			continue
		}
		if !file.arrived {
			return file.Name + " has not arrived"
		}
		descriptor = descriptor || strings.HasSuffix(file.Name, ".ovf")
	}
	if !descriptor {
		return "there is no OVF descriptor"
	}
	return ""
}

// describe adds the sizes and checksums to the list of an item's files.
func (f *front) describe(content []byte) []byte {
	var listing struct {
		Value []map[string]interface{} `json:"value"`
	}
	if json.Unmarshal(content, &listing) != nil {
		return content
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, entry := range listing.Value {
		for _, file := range f.items {
			if file.Name == entry["name"] && file.arrived {
				entry["size"], entry["checksum_info"] = file.Size, file.Checksum
			}
		}
	}
	described, err := json.Marshal(listing)
	if err != nil {
		return content
	}
	return described
}
