package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"airlock/ledger"
	"airlock/vault"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// What a client is told. The status codes are those of SFTP version 3.
var (
	errRefused = fmt.Errorf("refused: this vault only adds: %w", sftp.ErrSSHFxPermissionDenied)
	errTaken   = errors.New("the name is taken, and nothing is overwritten")
	errOutside = fmt.Errorf("there is nothing but the vault's folder: %w", sftp.ErrSSHFxPermissionDenied)
	errTooMany = errors.New("too many open files")
	errNoFile  = fmt.Errorf("no such file: %w", sftp.ErrSSHFxNoSuchFile)
)

// line is what the sessions of one connection share.
type line struct {
	files     chan struct{} // a place for each open file
	announced atomic.Bool   // the site's own key has announced a window on it
}

func newLine(openFiles int) *line { return &line{files: make(chan struct{}, openFiles)} }

// session is one SFTP session. Its methods are the handlers that pkg/sftp asks for.
type session struct {
	host   *serving
	ctx    context.Context
	client string // the user name, whose key was shown
	from   string // the address
	line   *line  // the connection's

	mu      sync.Mutex
	uploads map[string]*upload // that are open, by the name that the client knows
	refused map[string]int     // how often each kind of request was
}

// serve serves the SFTP subsystem and refuses everything else: there is no shell.
func (s *session) serve(in io.ReadWriteCloser, channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close() // the client has its answers
	defer s.summary()
	for r := range requests {
		var wanted struct{ Name string }
		ok := r.Type == "subsystem" && ssh.Unmarshal(r.Payload, &wanted) == nil && wanted.Name == "sftp"
		if r.WantReply && r.Reply(ok, nil) != nil {
			return
		}
		if !ok {
			continue
		}
		go ssh.DiscardRequests(requests)
		s.answer(in)
		return
	}
}

// answer answers SFTP requests until the client goes, or sends what is none.
func (s *session) answer(in io.ReadWriteCloser) {
	server := sftp.NewRequestServer(in, sftp.Handlers{FileGet: s, FilePut: s, FileCmd: s, FileList: s},
		sftp.WithStartDirectory(s.host.conf.Folder), sftp.WithRSMaxTxPacket(packet))
	_ = server.Serve() // what is left to tell is that the client went
	_ = server.Close()
}

// local is a path as a name below the vault's folder. "." is the folder itself.
func (s *session) local(p string) (string, error) {
	if p == s.host.conf.Folder {
		return ".", nil
	}
	name, inside := strings.CutPrefix(p, strings.TrimSuffix(s.host.conf.Folder, "/")+"/")
	if !inside {
		return "", errOutside
	}
	odd := func(r rune) bool { return r < ' ' || r == '\\' || r == 0x7f }
	if !fs.ValidPath(name) || name == "." || strings.ContainsFunc(name, odd) || strings.Count(name, "/") >= maxDepth {
		return "", fmt.Errorf("%.80q is not a name that this vault takes: %w", name, sftp.ErrSSHFxFailure)
	}
	return name, nil
}

// maxDepth bounds how deep folders may lie.
const maxDepth = 16

// unfinished is where in incoming/ a name lies, if it lies there.
func unfinished(name string) bool { return path.Dir(name) == vault.Incoming }

// ours says whether only the host writes there, or nobody does.
func ours(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return slices.ContainsFunc([]string{vault.Incoming, receiptsDir, announcedDir}, func(dir string) bool { return strings.EqualFold(first, dir) })
}

// Fileread opens a file. A receipt is made when it is asked for.
func (s *session) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	name, err := s.local(r.Filepath)
	if err != nil {
		return nil, s.denied("read", r.Filepath, err)
	}
	if err := s.place(); err != nil {
		return nil, err
	}
	if number := vault.ReceiptOf(name); number > 0 {
		file, err := s.host.receipt(s.ctx, number, s.client)
		if err != nil {
			<-s.line.files
			return nil, told(err)
		}
		return &reading{bytes.NewReader(file), nil, s}, nil
	}
	s.host.naming.look(name)
	f, err := s.host.folder.openRegular(name)
	if err != nil {
		<-s.line.files
		return nil, told(err)
	}
	return &reading{f, f, s}, nil
}

// reading is a file that is open for reading.
type reading struct {
	io.ReaderAt
	file io.Closer // nil for what is only in memory
	s    *session
}

func (r *reading) Close() error {
	<-r.s.line.files
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// place takes one of the connection's places for open files.
func (s *session) place() error {
	select {
	case s.line.files <- struct{}{}:
		return nil
	default:
		return errTooMany
	}
}

// Filewrite begins a new file.
func (s *session) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	name, err := s.local(r.Filepath)
	if err != nil {
		return nil, s.denied("write", r.Filepath, err)
	}
	if number := vault.AnnouncementOf(name); number > 0 {
		return s.announcing(number)
	}
	u := &upload{session: s, temp: name, hash: newHash()}
	switch {
	case name == "." || ours(name) && !unfinished(name):
		return nil, s.refuse("write", name)
	case vault.IsFolder(name):
		return nil, s.refuse("write a file where a folder belongs", name)
	case !unfinished(name):
		u.temp, u.final = path.Join(vault.Incoming, vault.TempName("SERVER", rand.Text())), name
		taken, err := s.taken(name)
		if err != nil {
			return nil, told(err)
		}
		if taken && r.Pflags().Excl { // asked for, and no attempt to overwrite
			return nil, errTaken
		}
		if taken {
			return nil, s.refuse("overwrite", name)
		}
		if info, err := s.host.folder.Lstat(path.Dir(name)); err != nil || !info.IsDir() {
			return nil, errNoFile
		}
	}
	if err := s.begin(u); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, s.refuse("overwrite", name)
		}
		return nil, told(err)
	}
	s.mu.Lock()
	s.uploads[name] = u
	s.mu.Unlock()
	return u, nil
}

// take takes room, as much as the connection may have.
func (s *session) take(n int64) error { return s.host.room.take(n, s.line.announced.Load()) }

// begin makes an upload's file. fs.ErrExist if there is one by its temporary name.
func (s *session) begin(u *upload) (err error) {
	if err := s.place(); err != nil {
		return err
	}
	if err = s.take(nameWeight); err == nil {
		if u.file, err = s.host.folder.create(u.temp); err == nil {
			u.taken = nameWeight
			return nil
		}
		s.host.room.giveBack(nameWeight)
	}
	<-s.line.files
	return err
}

// taken says whether a file or folder has the name. That of a damaged file is free.
func (s *session) taken(name string) (bool, error) {
	s.host.naming.look(name)
	if _, err := s.host.folder.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	r, err := s.host.index.find(s.ctx, name)
	return err != nil || r.damage == "", nil
}

// closed lets go of an upload.
func (s *session) closed(u *upload) {
	<-s.line.files
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, other := range s.uploads {
		if other == u {
			delete(s.uploads, name)
		}
	}
}

func (s *session) open(name string) *upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uploads[name]
}

// Filecmd makes folders, names whole files, and refuses the rest.
func (s *session) Filecmd(r *sftp.Request) error {
	name, err := s.local(r.Filepath)
	if err != nil {
		return s.denied(strings.ToLower(r.Method), r.Filepath, err)
	}
	switch r.Method {
	case "Mkdir":
		return s.mkdir(name)
	case "Rename", "PosixRename":
		target, err := s.local(r.Target)
		if err != nil {
			return s.denied("rename", r.Target, err)
		}
		return s.rename(name, target)
	case "Remove":
		return s.remove(name)
	case "Setstat":
		// Stock programs set a mode and times of what they have just sent. They are taken
		// and forgotten while the file is on its way; a size would cut it.
		if s.open(name) != nil && !r.AttrFlags().Size {
			return nil
		}
	}
	return s.refuse(strings.ToLower(r.Method), name)
}

// PosixRename is the rename that replaces, elsewhere.
func (s *session) PosixRename(r *sftp.Request) error {
	r.Method = "PosixRename"
	return s.Filecmd(r)
}

func (s *session) mkdir(name string) error {
	if name == "." || name == vault.Incoming || name == receiptsDir {
		return errTaken
	}
	if ours(name) {
		return s.refuse("mkdir", name)
	}
	if vault.IsFile(name) {
		return s.refuse("make a folder where a file belongs", name)
	}
	if err := s.take(nameWeight); err != nil {
		return told(err)
	}
	if err := s.host.naming.makeFolder(name); err != nil {
		s.host.room.giveBack(nameWeight)
		if errors.Is(err, fs.ErrExist) {
			return errTaken
		}
		return told(err)
	}
	return nil
}

func (s *session) rename(from, to string) error {
	if !unfinished(from) || to == "." || ours(to) || vault.IsFolder(to) {
		return s.refuse("rename", from+" to "+to)
	}
	f, ok := s.host.claim(from, s.client, s.line.announced.Load())
	if !ok {
		if _, err := s.host.folder.Lstat(from); errors.Is(err, fs.ErrNotExist) {
			return errNoFile
		}
		return s.refuse("rename of an unfinished file", from)
	}
	p, err := s.host.naming.promise(s.ctx, from, to, f)
	if err != nil {
		s.host.finish(from, f) // for another try, or to be removed
		return told(err)
	}
	if s.host.naming.behind() {
		return told(p.wait())
	}
	return nil
}

// remove takes back what the client has put into incoming/ and not named.
func (s *session) remove(name string) error {
	if _, err := s.host.folder.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return errNoFile
	}
	if !unfinished(name) {
		return s.refuse("remove", name)
	}
	f, ok := s.host.claim(name, s.client, s.line.announced.Load())
	if !ok {
		return s.refuse("remove", name)
	}
	return told(s.host.discard(name, f))
}

// StatVFS tells how much may still come.
func (s *session) StatVFS(*sftp.Request) (*sftp.StatVFS, error) {
	d, err := s.host.folder.disk()
	if err != nil {
		return nil, told(err)
	}
	left, err := s.host.room.left(s.line.announced.Load())
	if err != nil {
		return nil, told(err)
	}
	const block = 4096
	return &sftp.StatVFS{Bsize: block, Frsize: block, Blocks: uint64(d.size / block), Bfree: uint64(left / block), Bavail: uint64(left / block),
		Files: d.files, Ffree: d.left, Favail: d.left, Namemax: 255}, nil
}

// Filelist lists folders and tells what files are.
func (s *session) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	name, err := s.local(r.Filepath)
	if err != nil && s.above(r.Filepath) {
		return s.listAbove(r)
	}
	if err != nil {
		return nil, s.denied(strings.ToLower(r.Method), r.Filepath, err)
	}
	switch r.Method {
	case "List":
		return s.list(name)
	case "Stat":
		info, err := s.stat(name)
		if err != nil {
			return nil, told(err)
		}
		return only{info}, nil
	}
	return nil, sftp.ErrSSHFxOpUnsupported
}

func (s *session) stat(name string) (fs.FileInfo, error) {
	if u := s.open(name); u != nil {
		return u.info(path.Base(name)), nil
	}
	s.host.naming.look(name)
	info, err := s.host.folder.Lstat(name)
	if err != nil || info.IsDir() {
		return info, err
	}
	if r, err := s.host.index.find(s.ctx, name); err == nil && r.damage != "" {
		return nil, fs.ErrNotExist // so that it can be sent again
	}
	return info, nil
}

// above says whether a path leads to the vault's folder. Some clients go there step by
// step.
func (s *session) above(p string) bool {
	return strings.HasPrefix(s.host.conf.Folder+"/", strings.TrimSuffix(p, "/")+"/")
}

func (s *session) listAbove(r *sftp.Request) (sftp.ListerAt, error) {
	name := path.Base(r.Filepath)
	if r.Method == "List" {
		rest := strings.TrimPrefix(s.host.conf.Folder, strings.TrimSuffix(r.Filepath, "/")+"/")
		name, _, _ = strings.Cut(rest, "/")
	}
	one := only{fileInfo{name: name, mode: fs.ModeDir | 0o500, modified: time.Unix(0, 0)}}
	if r.Method != "List" {
		return one, nil
	}
	if err := s.place(); err != nil {
		return nil, err
	}
	return &listed{one, s}, nil
}

// listed is a folder that is open for listing, and has one entry.
type listed struct {
	only
	s *session
}

func (l *listed) Close() error {
	<-l.s.line.files
	return nil
}

// only is a list of one.
type only struct{ info fs.FileInfo }

func (o only) ListAt(into []fs.FileInfo, off int64) (int, error) {
	if off > 0 || len(into) == 0 {
		return 0, io.EOF
	}
	into[0] = o.info
	return 1, io.EOF
}

// list reads a folder piece by piece.
func (s *session) list(name string) (sftp.ListerAt, error) {
	if err := s.place(); err != nil {
		return nil, err
	}
	s.host.naming.flush()
	d, err := s.host.folder.openFolder(name)
	if err != nil {
		<-s.line.files
		return nil, told(err)
	}
	return &listing{dir: d, s: s}, nil
}

type listing struct {
	dir *os.File
	s   *session
}

// ListAt gives the next entries; off only ever moves on by what was given.
func (l *listing) ListAt(into []fs.FileInfo, _ int64) (int, error) {
	infos, err := l.dir.Readdir(len(into))
	return copy(into, infos), told(err)
}

func (l *listing) Close() error {
	<-l.s.line.files
	return l.dir.Close()
}

// told is an error as a client may read it: SFTP has few codes, and for a name that is
// missing the very one that says so.
func told(err error) error {
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return errNoFile
	}
	return err
}

// denied is for paths that are not the vault's.
func (s *session) denied(what, name string, err error) error {
	if errors.Is(err, errOutside) {
		_ = s.refuse(what+" outside", name) // its error is the other one
	}
	return err
}

// refuse refuses a request that would change what is there, and says so here and in the
// ledger: once for each kind of request in a session, and how many at its end.
func (s *session) refuse(what, name string) error {
	s.mu.Lock()
	if s.refused == nil {
		s.refused = map[string]int{}
	}
	s.refused[what]++
	first := s.refused[what] == 1
	s.mu.Unlock()
	if first {
		s.host.refusal(s.client, s.from, what, name)
	}
	return errRefused
}

func (s *session) summary() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for what, n := range s.refused {
		if n > 1 {
			s.host.refusal(s.client, s.from, fmt.Sprintf("%s, %d times", what, n), "")
		}
	}
}

// maxTold is how much of a name that was refused is recorded, in bytes.
const maxTold = 300

// refusal records that a client was refused something. A flood of them is cut short.
func (s *serving) refusal(client, from, what, name string) {
	if !s.tells.AllowN(s.now(), 1) {
		return
	}
	actor := "client " + client
	if client == "" {
		actor = "a stranger"
	}
	if len(name) > maxTold {
		name = name[:maxTold] + "…"
	}
	name = strings.ToValidUTF8(name, "?")
	s.conf.Log.Warn("refused: "+what, "name", name, "client", client, "from", from)
	s.note(ledger.KindRefusal, actor+" at "+from, "refused: "+what+" "+name, map[string]any{"request": what, "name": name, "from": from})
}
