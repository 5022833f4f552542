package vault

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"airlock/blob"
)

// Where a vault's files lie. Kopia passes over every file without its suffix .f.
const (
	// ShardsName is where kopia's sharded storage reads ShardsFile.
	ShardsName     = ".shards"
	generationsDir = "generations"
	versionsDir    = "versions"

	// ShardsFile is what kopia's sharded storage reads: blobs of names longer than
	// 20 bytes lie two folders deep, of one byte and then three.
	ShardsFile     = `{"default":[1,3],"maxNonShardedLength":20}` + "\n"
	unshardedBytes = 20

	blobSuffix    = ".f"
	maxNameLength = 200 // bytes; file systems allow 255
)

// BlobPath is where the first version of a blob lies, as kopia's own storage with
// shards {1,3} has it.
func BlobPath(name string) string {
	if len(name) <= unshardedBytes {
		return name + blobSuffix
	}
	return path.Join(name[:1], name[1:4], name[4:]+blobSuffix)
}

// BlobOf is the inverse of BlobPath; "" for a file that is no blob of that kind.
func BlobOf(file string) string {
	name, ok := strings.CutSuffix(strings.ReplaceAll(file, "/", ""), blobSuffix)
	if !ok || checkBlobName(name) != nil || BlobPath(name) != file {
		return ""
	}
	return name
}

// IsBlobFile says whether a path is one where a blob's bytes may lie: its own place, or
// that of a version.
func IsBlobFile(file string) bool {
	if BlobOf(file) != "" {
		return true
	}
	dir, name := path.Split(file)
	sum, ours := strings.CutPrefix(path.Clean(dir), versionsDir+"/")
	return ours && new(blob.Sum).UnmarshalText([]byte(sum)) == nil && checkBlobName(name) == nil
}

// IsFile says whether a path is one where the layout has a file: a folder there would
// keep the file from its place.
func IsFile(file string) bool {
	return file == ShardsName || IsBlobFile(file) || GenerationOf(file) > 0 || SignedOf(file) > 0
}

// IsFolder says whether a path is one where the layout has a folder, or may have one: a
// file there would keep all from their places that belong in it.
func IsFolder(file string) bool {
	dir, name := path.Split(file)
	switch dir = path.Clean(dir); dir {
	case ".":
		return len(name) == 1 || name == generationsDir || name == versionsDir || name == receiptsDir || name == Incoming
	case versionsDir:
		return new(blob.Sum).UnmarshalText([]byte(name)) == nil
	}
	return len(dir) == 1 && len(name) == 3
}

func versionPath(name string, sum [32]byte) string {
	return path.Join(versionsDir, hex.EncodeToString(sum[:]), name)
}

// GenerationPath is where a generation's manifest lies.
func GenerationPath(number int64) string {
	return fmt.Sprintf("%s/%08d"+manifestSuffix, generationsDir, number)
}

// lastNumber is the last that a generation may have: one a second for 30,000 years. What
// bears a later one is no generation, so that no file can bring the numbers to their end.
const lastNumber = 1_000_000_000_000

// generationOfFile is the number in a file's base name; 0 for any other file.
func generationOfFile(base string) int64 {
	digits, ok := strings.CutSuffix(base, manifestSuffix)
	number, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || number < 1 || number > lastNumber || path.Base(GenerationPath(number)) != base {
		return 0
	}
	return number
}

// checkBlobName takes the letters that kopia's blob IDs are made of. A leading dot
// would, once split into shards, be a folder named ".".
func checkBlobName(name string) error {
	odd := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r))
	}
	if name == "" || len(name) > maxNameLength || name[0] == '.' || strings.ContainsFunc(name, odd) {
		return fmt.Errorf("%q is not the name of a blob: %w", name, fs.ErrInvalid)
	}
	return nil
}

// checkShards compares a vault's .shards with ours.
func checkShards(have []byte) error {
	var got struct {
		Default   []int             `json:"default"`
		Unsharded int               `json:"maxNonShardedLength"`
		Overrides []json.RawMessage `json:"overrides"`
	}
	err := json.Unmarshal(have, &got)
	if err != nil || !slices.Equal(got.Default, []int{1, 3}) || got.Unsharded != unshardedBytes || len(got.Overrides) > 0 {
		return fmt.Errorf("the vault's %s reads %.80q, not %q: another program laid this folder out; give the vault an empty one", ShardsName, have, ShardsFile)
	}
	return nil
}

// A class is one step of the order in which blobs land: none of the next is sent
// before the last of this one has landed.
type class int

const (
	dataClass class = iota
	metadataClass
	indexClass
	kopiaClass // kopia.repository, kopia.maintenance and all that is not known
	classes
)

func (c class) String() string {
	return [...]string{"data", "metadata", "index", "kopia"}[c]
}

func classOf(name string) class {
	switch {
	case strings.HasPrefix(name, "p"):
		return dataClass
	case strings.HasPrefix(name, "q"):
		return metadataClass
	case name != "" && strings.Contains("xnml", name[:1]):
		return indexClass
	}
	return kopiaClass
}

// versioned says whether a blob may rightly change under its name.
func versioned(name string) bool { return strings.HasPrefix(name, "kopia.") }
