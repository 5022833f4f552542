package policies

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"

	"airlock/state"
)

// Files are the files that a policy names and that decide, beside its own, whom airlock
// believes and by what it is let in: those of secrets and keys, of pinned host keys and of
// authorities, folders of platforms, and the state folder with its keys. p is a Policy or a VaultHost, or a pointer to one.
func Files(p any) []string {
	var all []string
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Map:
			for _, key := range v.MapKeys() {
				walk(v.MapIndex(key))
			}
		case reflect.Struct:
			if s, ok := v.Interface().(Secret); ok {
				all = append(all, s.File)
				return
			}
			for field := range v.Type().Fields() {
				switch of := v.FieldByIndex(field.Index); field.Tag.Get("yaml") {
				case "known_hosts", "ca", "platform_dir":
					all = append(all, of.String())
				case "state":
					all = append(all, stateFiles(of.String())...)
				default:
					if field.IsExported() {
						walk(of)
					}
				}
			}
		}
	}
	walk(reflect.ValueOf(p))
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(name string) bool { return name == "" })
}

// stateFiles are what of a state folder decides as much as the policy file does: the keys by
// which a site or a host signs, and the policy that serves where the file cannot be read.
func stateFiles(folder string) []string {
	if folder == "" {
		return nil
	}
	site := state.Folder(folder)
	all := []string{folder, site.Keys(), site.SiteKey(), site.PublicKey(), site.ReleaseKey(), site.LastPolicy()}
	for _, name := range []string{"receipt.key", "receipt.pub", "ssh_host_ed25519"} { // a vault host's
		all = append(all, filepath.Join(site.Keys(), name))
	}
	return all
}

// Writable says who besides root and the user by whom airlock runs may write a file, or the
// folders in which it could be replaced, and what to type; nil if nobody may, or if there is
// no such file.
// A folder in which nobody may replace what is another's (sticky, as /tmp) is as good.
func Writable(path string) error {
	if runtime.GOOS == "windows" { // which keeps rights in lists of its own
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil // whoever reads it says so
	}
	var all []error
	foreign := func(path string, info os.FileInfo) {
		if uid, known := owner(info); known && uid != 0 && uid != os.Geteuid() {
			all = append(all, fmt.Errorf("%s belongs to the user %d, neither root nor the one by whom airlock runs, who would decide what airlock does; run: chown %d %s", path, uid, os.Geteuid(), path))
		}
	}
	foreign(path, info)
	if mode := info.Mode().Perm(); mode&0o022 != 0 && (info.Mode()&os.ModeSticky == 0 || !info.IsDir()) {
		all = append(all, fmt.Errorf("%s may be written by others than its owner (mode %04o), who would decide what airlock does; run: chmod go-w %s", path, mode, path))
	}
	for _, folder := range above(path) {
		info, err := os.Stat(folder)
		if err != nil {
			continue
		}
		foreign(folder, info)
		if info.Mode()&os.ModeSticky != 0 || info.Mode().Perm()&0o022 == 0 {
			continue
		}
		all = append(all, fmt.Errorf("in the folder %s others than its owner may replace what leads to %s (mode %04o); run: chmod go-w %s", folder, path, info.Mode().Perm(), folder))
	}
	return errors.Join(all...)
}

// above are the folders on the way to a path, by its name and where links lead.
func above(path string) (all []string) {
	paths := []string{path}
	if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
		paths = append(paths, real)
	}
	for _, path := range paths {
		for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
			if !slices.Contains(all, dir) {
				all = append(all, dir)
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return all
}
