package policies

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Record is what of a policy the ledger holds: what decides about doors, vaults, the guard
// and what is kept, by the path of each key, such as doors.vault-door.port.name. Defaults
// stand in it; what is not given does not, and neither does where a secret lies, nor any
// secret (S13). Two policies with one record move the same ports within the same times.
func (p *Policy) Record() map[string]string {
	r := record{}
	r.take("repository.url", reflect.ValueOf(p.Repository.URL))
	for key, part := range map[string]any{
		"guard": p.Guard, "patrol": p.Patrol, "switches": p.Switches, "doors": p.Doors, "vaults": p.Vaults,
	} {
		r.take(key, reflect.ValueOf(part))
	}
	for name, s := range p.Systems {
		r.take("systems."+name+".keep", reflect.ValueOf(s.Keep))
		r.take("systems."+name+".retention", reflect.ValueOf(s.Retention))
	}
	return r
}

// record is values by the path of their keys.
type record map[string]string

// take puts in what a value holds, below a path.
func (r record) take(path string, v reflect.Value) {
	if v.IsZero() || v.Type() == reflect.TypeFor[Secret]() {
		return
	}
	if v.Kind() == reflect.Pointer {
		r.take(path, v.Elem())
		return
	}
	if text, ok := v.Interface().(encoding.TextMarshaler); ok {
		written, err := text.MarshalText()
		if err != nil { // none of a policy's types refuses
			written = []byte(err.Error())
		}
		r[path] = string(written)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		r.fields(path, v)
	case reflect.Map:
		for _, key := range v.MapKeys() {
			r.take(path+"."+key.String(), v.MapIndex(key))
		}
	default:
		r[path] = fmt.Sprint(v.Interface())
	}
}

// fields takes what the fields of a structure hold, by their keys in the policy file.
func (r record) fields(path string, v reflect.Value) {
	for field := range v.Type().Fields() {
		key, inline := strings.CutSuffix(field.Tag.Get("yaml"), ",inline")
		switch {
		case !field.IsExported():
		case inline:
			r.take(path, v.FieldByIndex(field.Index))
		default:
			r.take(path+"."+key, v.FieldByIndex(field.Index))
		}
	}
}

// RecordChanges says what differs between the records of two policies, a line for each key,
// in the order of the keys.
func RecordChanges(before, after map[string]string) []string {
	all := maps.Clone(before)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, after)
	var changes []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		was, had := before[key]
		is, has := after[key]
		switch {
		case !had:
			changes = append(changes, fmt.Sprintf("%s: %s, not given before", key, is))
		case !has:
			changes = append(changes, fmt.Sprintf("%s: not given any more, was %s", key, was))
		case was != is:
			changes = append(changes, fmt.Sprintf("%s: %s, was %s", key, is, was))
		}
	}
	return changes
}
