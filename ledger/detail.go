package ledger

import (
	"encoding/json"
	"fmt"
)

// Detail is the detail of an entry that holds v, a value that encoding/json can always
// encode. Of one that it cannot, the detail is the error: an entry is never lost for it.
func Detail(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage(fmt.Sprintf("{%q:%q}", "error", err.Error()))
	}
	return b
}
