package repository

import "time"

// Blob is one blob of the repository as the catalogue knows it. SHA256 was taken
// when the blob was written, in the only place where its bytes were certain.
type Blob struct {
	Name    string    // kopia's blob ID: "p0123…", "kopia.repository"
	Size    int64     // bytes
	SHA256  [32]byte  //
	Written time.Time // when it entered the catalogue
}
